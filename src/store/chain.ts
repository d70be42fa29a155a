/**
 * The hash chain over the log: a link for each event, made of the link before it and all that the log keeps of the event.
 * Whoever alters, removes or inserts an event afterwards would have to make all later links anew.
 *
 *   hash = SHA-256 of the UTF-8 bytes of [hash before, position, type, atMs, task, run, version, data, meta] as JSON
 *
 * The hash before is in hexadecimal digits, "" for the first link; `data` and `meta` are the stored texts, as JSON
 * strings. A link says nothing of the engine: in a copy of the log it is the same.
 */
import { hash as hashText } from "node:crypto";
import { yieldToEventLoop } from "../clock.ts";
import { AzothError, quote } from "../errors.ts";
import { readFields } from "../names.ts";
import { Pace } from "../pace.ts";
import type { ChainLink, LoggedEvent } from "./engine.ts";
import type { StoreCore } from "./store-core.ts";

/** Events in one page. */
const pageSize = 500;

/** The last link of the hash chain: kept elsewhere, it proves that what it seals is still as it was. */
export interface ChainHead {
  /** The position of the last event that is sealed. */
  readonly position: number;
  /** 64 hexadecimal digits. */
  readonly hash: string;
}

/** The first place where the log, its chain and what was kept of it differ. */
export interface ChainDifference {
  readonly position: number;
  readonly field: "chain" | "chainHead";
  /** The hash that there should be, and the one that there is; null for none. */
  readonly replayed: string | null;
  readonly stored: string | null;
}

/** The links that follow on one for these events. */
export async function linksOf(
  before: ChainLink | null,
  events: readonly LoggedEvent[],
  pace: Pace,
): Promise<ChainLink[]> {
  const links: ChainLink[] = [];
  let hash = before?.hash ?? "";
  for (const event of events) {
    hash = hashOf(hash, event);
    links.push({ position: event.position, hash });
    if (pace.isSpent) await pace.pause();
  }
  return links;
}

function hashOf(before: string, { position, type, atMs, task, run, version, data, meta }: LoggedEvent): string {
  // By hand, because a number that somebody made huge may come as a bigint, which JSON.stringify refuses.
  const [typeText, dataText, metaText] = [type, data, meta].map((text) => JSON.stringify(text));
  return hashText(
    "sha256",
    `["${before}",${position},${typeText},${atMs},${task},${run},${version},${dataText},${metaText}]`,
  );
}

/** @throws AzothError INVALID_OPTION */
export function parseChainHead(value: unknown): ChainHead {
  const { position, hash } = readFields<ChainHead>(value, ["position", "hash"], "chainHead", "INVALID_OPTION");
  if (!Number.isSafeInteger(position) || position < 1) {
    const message = `chainHead.position must be the position of an event (1, 2, 3, …), and is ${quote(position)}.`;
    throw new AzothError("INVALID_OPTION", message);
  }
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) {
    const message = `chainHead.hash must be 64 hexadecimal digits, as db.chainHead() gives them, and is ${quote(hash)}.`;
    throw new AzothError("INVALID_OPTION", message);
  }
  return { position, hash };
}

/**
 * Holds the log against its chain up to `head`, and the chain against a head of it that was kept elsewhere.
 * So far neither ever changes: pages need not be of one moment with each other.
 */
export async function findBreak(
  { engine, options }: StoreCore,
  head: ChainHead | null,
  { kept, signal }: { readonly kept: ChainHead | undefined; readonly signal: AbortSignal | undefined },
): Promise<ChainDifference | null> {
  // From before the first position, so that nothing can stand outside.
  const start = Number.MIN_SAFE_INTEGER;
  const to = head?.position ?? start;
  let keptHash: string | null = null;
  let before = "";
  for (let after = start; after < to; ) {
    const pace = new Pace(options.eventLoopBudgetMs);
    const [events, links] = await engine.reads.snapshot((snapshot) =>
      Promise.all([snapshot.readLog(after, to, pageSize), snapshot.readChain(after, to, pageSize)]),
    );
    const reach = Math.min(endOf(events, to), endOf(links, to));
    for (const { position, event, link } of sideBySide(events, links, reach)) {
      const replayed = event === undefined ? null : hashOf(before, event);
      const stored = link?.hash ?? null;
      if (stored === null || replayed !== stored) return { position, field: "chain", replayed, stored };
      if (position === kept?.position) keptHash = stored;
      before = stored;
      if (pace.isSpent) await pace.pause();
    }
    after = reach;
    signal?.throwIfAborted();
    await yieldToEventLoop();
  }
  if (kept === undefined || kept.hash === keptHash) return null;
  return { position: kept.position, field: "chainHead", replayed: kept.hash, stored: keptHash };
}

/** How far a page has everything. */
function endOf(page: readonly { readonly position: number }[], to: number): number {
  return page.length < pageSize ? to : (page.at(-1)?.position ?? to);
}

interface Place {
  readonly position: number;
  readonly event: LoggedEvent | undefined;
  readonly link: ChainLink | undefined;
}

/** What there is at each position up to the end, by position. */
function sideBySide(events: readonly LoggedEvent[], links: readonly ChainLink[], end: number): Place[] {
  const eventAt = new Map(events.map((event) => [event.position, event]));
  const linkAt = new Map(links.map((link) => [link.position, link]));
  return [...new Set([...eventAt.keys(), ...linkAt.keys()])]
    .filter((position) => position <= end)
    .toSorted((left, right) => left - right)
    .map((position) => ({ position, event: eventAt.get(position), link: linkAt.get(position) }));
}
