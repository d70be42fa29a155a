/**
 * Tells of the commits of other nodes, and tells them of ours, over LISTEN and NOTIFY.
 *
 * A notice only wakes; whoever is woken reads what it needs, and looks now and then without being woken. The line is
 * tried with notices of its own: one that goes silent (a half-open connection, a pooler that passes no notices on) is
 * replaced, and until then commits are looked for.
 */
import { systemClock } from "../../clock.ts";
import { uniqueToken } from "../../random.ts";
import type { Connections } from "./connections.ts";
import type { PgClient } from "./driver.ts";
import type { Place } from "./place.ts";
import { ClientSession } from "./session.ts";

/** How often the line is tried, and how long its own notice may take. */
const trialMs = 5_000;
const answerMs = 2_000;
/** Delays between tries to connect: doubled from the first to the longest. */
const firstRetryMs = 100;
const longestRetryMs = 5_000;
/** One node sends at most one notice in this time: at commit, a notice takes a lock of the whole server. */
const noticeEveryMs = 5;

export class Listener {
  readonly #connections: Connections;
  readonly #self: string = uniqueToken();
  readonly #channel: string;
  readonly #listeners = new Set<() => void>();
  #line: Line | undefined;
  #running: Promise<void> | undefined;
  #stopping = new AbortController();
  /** The notice that is under way, and whether another has to follow it. */
  #sending: Promise<void> | undefined;
  #sendAgain = false;

  constructor(connections: Connections, place: Place) {
    this.#connections = connections;
    this.#channel = `azoth_${place.schema}`.slice(0, 63);
  }

  /** True while notices are known to arrive. */
  get hears(): boolean {
    return this.#line?.works === true;
  }

  listen(onCommit: () => void): () => void {
    this.#listeners.add(onCommit);
    this.#running ??= this.#run(this.#stopping.signal);
    return () => this.#listeners.delete(onCommit);
  }

  /** Tells the other nodes of a commit. */
  announce(): void {
    if (this.#sending !== undefined) {
      this.#sendAgain = true;
      return;
    }
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined;
      if (!this.#sendAgain) return;
      this.#sendAgain = false;
      this.announce();
    });
  }

  /** The statement that tells them from within a user's transaction, when it commits. */
  get noticeWithin(): readonly [text: string, values: readonly unknown[]] {
    return ["SELECT pg_notify($1, '')::text", [this.#channel]];
  }

  async close(): Promise<void> {
    this.#sendAgain = false;
    await this.#sending;
    this.#stopping.abort();
    await this.#line?.end();
    await this.#running;
  }

  async #send(): Promise<void> {
    const text = notice(this.#channel, this.#self);
    try {
      if (this.#line?.works === true) await this.#line.send(text);
      else await this.#connections.use("user", (session) => session.script(text));
    } catch {
      // Nobody is told; they look now and then by themselves.
    }
    await systemClock.sleep(noticeEveryMs, this.#stopping.signal);
  }

  async #run(stopped: AbortSignal): Promise<void> {
    let retryMs = firstRetryMs;
    while (!stopped.aborted) {
      try {
        const client = await this.#connections.connectAlone(answerMs);
        const line = new Line(this.#connections, client, this.#channel, (payload) => this.#hear(payload));
        this.#line = line;
        while (!stopped.aborted && (await line.isSound())) {
          retryMs = firstRetryMs;
          // What was committed while nobody listened.
          if (line.isNew) this.tell();
          await line.rest(trialMs, stopped);
        }
        this.#line = undefined;
        await line.end();
      } catch {
        // The server is away, or refuses: the loops that need it meet the same and report it.
        this.#line = undefined;
      }
      if (stopped.aborted) return;
      await systemClock.sleep(retryMs, stopped);
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  }

  #hear(payload: string): void {
    if (payload !== this.#self) this.tell();
  }

  /** Wakes all who listen. */
  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** One connection that listens. */
class Line {
  /** True once a notice of its own has come back, until one does not. */
  works = false;
  readonly #connections: Connections;
  readonly #session: ClientSession;
  readonly #client: PgClient;
  readonly #channel: string;
  readonly #trial: string = `trial ${uniqueToken()}`;
  #broken = new AbortController();
  #answered: AbortController | undefined;
  #trials = 0;

  constructor(connections: Connections, client: PgClient, channel: string, onNotice: (payload: string) => void) {
    this.#connections = connections;
    this.#client = client;
    this.#session = new ClientSession(client);
    this.#channel = channel;
    client.on("error", () => this.#broken.abort());
    client.on("end", () => this.#broken.abort());
    client.on("notification", ({ payload = "" }) => {
      if (payload === this.#trial) this.#answered?.abort();
      else if (!payload.startsWith("trial ")) onNotice(payload);
    });
  }

  /** True at the first sound trial. */
  get isNew(): boolean {
    return this.#trials === 1;
  }

  /** Sends a notice to itself, and waits for it. */
  async isSound(): Promise<boolean> {
    const answered = new AbortController();
    this.#answered = answered;
    const listen = this.#trials === 0 ? `LISTEN "${this.#channel}"; ` : "";
    const sent = this.send(`${listen}${notice(this.#channel, this.#trial)}`).catch(() => this.#broken.abort());
    await systemClock.sleep(answerMs, AbortSignal.any([answered.signal, this.#broken.signal]));
    this.works = answered.signal.aborted && !this.#broken.signal.aborted;
    this.#trials++;
    if (this.works) await sent;
    return this.works;
  }

  async send(text: string): Promise<void> {
    await this.#session.script(text);
  }

  /** Resolves after `ms`, or when the connection breaks. */
  async rest(ms: number, signal: AbortSignal): Promise<void> {
    await systemClock.sleep(ms, AbortSignal.any([signal, this.#broken.signal]));
  }

  async end(): Promise<void> {
    this.works = false;
    this.#broken.abort();
    await this.#connections.end(this.#client);
  }
}

/** Texts of our own making, without quotes. The commit of a notice alone need not reach the disk. */
function notice(channel: string, payload: string): string {
  return `BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_notify('${channel}', '${payload}'); COMMIT`;
}
