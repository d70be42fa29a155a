/** What `sslmode` of a URL protects: what a server, or whoever stands before it, gets to see of a connection. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { AzothDb } from "../../src/store/azoth-db.ts";
import { scratchDirectory } from "./scratch-directory.ts";

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const sslRequest = 80_877_103;

interface Certificate {
  readonly file: string;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** For localhost, signed by nobody else; null where there is no openssl. */
function selfSigned(): Certificate | null {
  const directory = scratchDirectory();
  const [keyFile, file] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const { status } = spawnSync("openssl", [...made, ...names, "-keyout", keyFile, "-out", file]);
  return status === 0 ? { file, key: readFileSync(keyFile), cert: readFileSync(file) } : null;
}

/** A server that takes note of what it is told first, and hangs up. */
async function listen(certificate: Certificate | null): Promise<{ readonly port: number; readonly heard: string[] }> {
  const heard: string[] = [];
  const hearLogin = (socket: Socket, how: string) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      heard.push(`the login ${how}`);
      socket.end();
    });
  };
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (first: Buffer) => {
      if (first.readInt32BE(4) !== sslRequest) {
        heard.push("the login in clear");
        socket.end();
        return;
      }
      heard.push("the wish for TLS");
      socket.write(certificate === null ? "N" : "S");
      if (certificate === null) hearLogin(socket, "in clear");
      else hearLogin(new TLSSocket(socket, { isServer: true, ...certificate }), "within TLS");
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return { port, heard };
}

/** What the server of a URL hears first. */
async function heardWith(query: string, certificate: Certificate | null): Promise<string[]> {
  const { port, heard } = await listen(certificate);
  const opening = AzothDb.open(`postgres://user:secret@localhost:${port}/db${query}`);
  await expect(opening).rejects.toMatchObject({ name: "AzothError", code: "STORE_UNREACHABLE" });
  return heard;
}

describe("before a server without TLS", () => {
  test.each(["?sslmode=verify-full", "?sslmode=no-verify", "?ssl=true"])("%s gives away nothing", async (query) =>
    expect(await heardWith(query, null)).toEqual(["the wish for TLS"]),
  );

  test.each(["", "?sslmode=disable"])("%j goes on in clear", async (query) => {
    expect(await heardWith(query, null)).toEqual(["the login in clear"]);
  });
});

describe("before a server with a certificate", () => {
  test("that nobody vouches for, sslmode=verify-full gives away nothing, and no-verify everything", async (context) => {
    const certificate = selfSigned();
    if (certificate === null) return context.skip("there is no openssl here");
    const [wish, login] = ["the wish for TLS", "the login within TLS"];
    expect(await heardWith("?sslmode=verify-full", certificate)).toEqual([wish]);
    expect(await heardWith("?sslmode=no-verify", certificate)).toEqual([wish, login]);
    const own = `?sslmode=verify-full&sslrootcert=${encodeURIComponent(certificate.file)}`;
    expect(await heardWith(own, certificate)).toEqual([wish, login]);
  });
});
