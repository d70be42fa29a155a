/**
 * A line between a node and its server that can break in every way: it stalls, drops, is cut, or loses exactly the
 * answer to a COMMIT. It listens on loopback and understands as much of PostgreSQL's protocol as that takes:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { atEnd } from "../../engines/postgres/scope.ts";

/** When a COMMIT is lost: before the server has it, when it has only the beginning of it, or once it has answered it. */
export type Moment = "before" | "within" | "after";
/** How: the connection breaks, or it stays open and nothing passes any more. */
export type Loss = "cut" | "hold";

interface Trap {
  readonly moment: Moment;
  readonly loss: Loss;
  /** Whether the transaction of these statements is meant. */
  readonly isMeant: (statements: readonly string[]) => boolean;
  readonly spring: (link: Link) => void;
}

/** Starts a proxy in front of the server of a URL; it ends with the test. */
export async function startProxy(url: string): Promise<Proxy> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = new Proxy(server, url);
  atEnd(() => proxy.close());
  return proxy;
}

export class Proxy {
  readonly links = new Set<Link>();
  /** The URL through this proxy. */
  readonly url: string;
  /** Connections that were made so far. */
  made = 0;
  /** Notices do not pass, as through a pooler that lends another connection to each transaction. */
  deaf = false;
  readonly #server: Server;
  readonly #target: URL;
  #stalled = false;
  #refuses = false;
  #traps: Trap[] = [];

  constructor(server: Server, url: string) {
    this.#server = server;
    this.#target = new URL(url);
    const through = new URL(url);
    through.searchParams.delete("host");
    through.hostname = "127.0.0.1";
    through.port = String((server.address() as AddressInfo).port);
    this.url = through.href;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Nothing passes any more, either way; the sockets stay open, and new ones open. */
  stall(): void {
    this.#stalled = true;
    for (const link of this.links) link.stall();
  }

  /** What was held back passes, and everything after it. */
  resume(): void {
    this.#stalled = false;
    for (const link of this.links) link.resume();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const link of [...this.links]) link.cut();
  }

  /** Breaks all connections, and each new one at once, until `admit`. */
  refuse(): void {
    this.#refuses = true;
    this.cut();
  }

  admit(): void {
    this.#refuses = false;
  }

  /** Loses the next COMMIT of a transaction that is meant; resolves with its connection once that has happened. */
  lose(moment: Moment, loss: Loss, isMeant: Trap["isMeant"] = () => true): Promise<Link> {
    return new Promise((spring) => {
      this.#traps.push({ moment, loss, isMeant, spring });
    });
  }

  /** The trap that a COMMIT runs into, which is used up by it. */
  takeTrap(statements: readonly string[]): Trap | undefined {
    const trap = this.#traps.find(({ isMeant }) => isMeant(statements));
    if (trap !== undefined) this.#traps = this.#traps.filter((other) => other !== trap);
    return trap;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(socket: Socket): void {
    if (this.#refuses) {
      socket.destroy();
      return;
    }
    this.made++;
    const { hostname, port, searchParams } = this.#target;
    const directory = searchParams.get("host");
    const number = Number(port === "" ? 5432 : port);
    const upstream = directory?.startsWith("/")
      ? connect(`${directory}/.s.PGSQL.${number}`)
      : connect(number, directory ?? hostname);
    const link = new Link(this, socket, upstream);
    this.links.add(link);
    if (this.#stalled) link.stall();
  }
}

/** One connection through the proxy. */
export class Link {
  /** True once it has listened for notices. */
  listens = false;
  readonly #proxy: Proxy;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #fromClient = new Messages(true);
  readonly #fromServer = new Messages(false);
  /** What has come and was not passed on. */
  #held: (() => void)[] = [];
  #stalled = false;
  /** Texts of statements by their names. */
  readonly #prepared = new Map<string, string>();
  /** Texts since the transaction began. */
  #statements: string[] = [];
  /** The trap whose COMMIT the server has got and not answered. */
  #sprung: Trap | undefined;

  constructor(proxy: Proxy, client: Socket, server: Socket) {
    this.#proxy = proxy;
    this.#client = client;
    this.#server = server;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // Whatever breaks on one side breaks the other, as soon as anything passes.
      socket.on("error", () => this.cut());
      // As on a dead line, an end is not answered while nothing passes.
      for (const end of ["end", "close"]) socket.on(end, () => this.#flow(() => this.cut()));
    }
    client.on("data", (chunk: Buffer) => {
      for (const message of this.#fromClient.take(chunk)) this.#flow(() => this.#toServer(message));
    });
    server.on("data", (chunk: Buffer) => {
      for (const message of this.#fromServer.take(chunk)) this.#flow(() => this.#toClient(message));
    });
  }

  stall(): void {
    this.#stalled = true;
  }

  resume(): void {
    this.#stalled = false;
    while (!this.#stalled && this.#held.length > 0) this.#held.shift()?.();
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
    this.#proxy.links.delete(this);
  }

  #flow(pass: () => void): void {
    if (this.#stalled) this.#held.push(pass);
    else pass();
  }

  #toServer(message: Buffer): void {
    const statement = this.#statementOf(message);
    if (statement !== undefined && statement !== "COMMIT") {
      if (/^BEGIN\b/i.test(statement)) this.#statements = [];
      if (/\bLISTEN\b/i.test(statement)) this.listens = true;
      this.#statements.push(statement);
    }
    const trap =
      statement === "COMMIT" && this.#sprung === undefined ? this.#proxy.takeTrap(this.#statements) : undefined;
    if (trap !== undefined && trap.moment !== "after") {
      if (trap.loss === "cut") this.cut();
      else if (trap.moment === "before") this.#held.unshift(() => this.#server.write(message));
      else this.#server.write(message);
      this.#stalled = true;
      trap.spring(this);
      return;
    }
    this.#sprung ??= trap;
    this.#server.write(message);
  }

  #toClient(message: Buffer): void {
    if (this.#proxy.deaf && message[0] === "A".codePointAt(0)) return;
    const trap = this.#sprung;
    if (trap !== undefined && isCommitted(message)) {
      this.#sprung = undefined;
      if (trap.loss === "hold") {
        this.#stalled = true;
        this.#held.unshift(() => this.#client.write(message));
      } else {
        this.cut();
      }
      trap.spring(this);
      return;
    }
    this.#client.write(message);
  }

  /** The text of a statement that this message carries out, or of a COMMIT that it prepares. */
  #statementOf(message: Buffer): string | undefined {
    const body = message.subarray(5);
    switch (this.#fromClient.started ? String.fromCodePoint(message[0] ?? 0) : "") {
      case "Q":
        return textAt(body, 0).text;
      case "P": {
        const { text: name, end } = textAt(body, 0);
        const { text } = textAt(body, end);
        this.#prepared.set(name, text);
        // Not only what carries it out: a server that has half of it is not idle, and does not end an idle session.
        return text === "COMMIT" ? text : undefined;
      }
      case "B": {
        const { end } = textAt(body, 0);
        return this.#prepared.get(textAt(body, end).text);
      }
      default:
        return undefined;
    }
  }
}

/** Cuts what comes in chunks into messages. */
class Messages {
  /** False before the first message, which has no letter. */
  started: boolean;
  #rest: Buffer = Buffer.alloc(0);

  constructor(fromClient: boolean) {
    this.started = !fromClient;
  }

  *take(chunk: Buffer): Generator<Buffer, void> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const letter = this.started ? 1 : 0;
      if (this.#rest.length < letter + 4) return;
      const length = letter + this.#rest.readInt32BE(letter);
      if (this.#rest.length < length) return;
      const message = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      yield message;
      this.started = true;
    }
  }
}

function isCommitted(message: Buffer): boolean {
  return message[0] === "C".codePointAt(0) && textAt(message, 5).text === "COMMIT";
}

/** A text that ends with a zero, and where the next begins. */
function textAt(bytes: Buffer, start: number): { readonly text: string; readonly end: number } {
  const zero = bytes.indexOf(0, start);
  return { text: bytes.toString("utf8", start, zero), end: zero + 1 };
}
