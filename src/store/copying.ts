/**
 * Copies a whole store into another one: the log event by event, and out of it the tasks.
 *
 * A copy that is not finished must not be worked on. Its tasks would be missing, and whoever schedules them anew at the
 * start of a program would run them a second time. So the target bears a mark from the first event on to the last
 * step: a trigger of the database, which refuses all other writes, of any process and version, and costs a whole store
 * nothing, because that has none. A mark that `AzothDb.open` looked at would not stop whoever had opened the target before.
 *
 *   empty -> beginCopy -> appendCopied … -> setCounters -> rebuild, verify -> endCopy: whole
 *
 * Only the last transaction puts in what is no history (instances, checkpoints, dead letters), and takes off the mark.
 * Before it, everything can be begun again: what the log has by then is compared, not copied again.
 */
import { systemClock, yieldToEventLoop } from "../clock.ts";
import { AzothError, quote } from "../errors.ts";
import type { Counters, EngineTransaction, LoggedEvent, Snapshot } from "./engine.ts";
import { rebuild } from "./replay.ts";
import type { StoreCore } from "./store-core.ts";
import { type Verification, verify } from "./verify.ts";

/** Events per step, and per transaction. */
const pageSize = 1_000;
/** How long to wait for transactions that are in progress on the source. */
const restPatienceMs = 10_000;
const restPauseMs = 50;

/** How far a copy has come, in events of its phase. */
export interface CopyProgress {
  /**
   * "compare": what is in the target is compared with the source, first what an earlier attempt has copied, later what
   * this one has; "copy": events go over; "rebuild": the tasks are folded from them; "verify": and proved.
   */
  readonly phase: "compare" | "copy" | "rebuild" | "verify";
  readonly done: number;
  readonly total: number;
}

export interface CopyOptions {
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
}

/** What a copy has brought over. */
export interface CopiedLog {
  readonly tasks: number;
  /** All that the log has, with those that an earlier attempt has copied. */
  readonly events: number;
  /** That of the target. */
  readonly verification: Verification;
}

interface Copying {
  readonly from: StoreCore;
  readonly to: StoreCore;
  readonly options: CopyOptions;
}

/** How far the log has come over. */
interface Copied {
  readonly last: number;
  readonly events: number;
  /** Of these, the events of tasks. */
  readonly ofTasks: number;
}

const nothing: Copied = { last: 0, events: 0, ofTasks: 0 };

/** Copies a store that nobody works on. @throws AzothError COPY_REFUSED, STORE_CORRUPT, STORE_BUSY */
export async function copyAtRest(from: StoreCore, to: StoreCore, options: CopyOptions): Promise<CopiedLog> {
  const copying: Copying = { from, to, options };
  await refuseUnfinished(from);
  await refuseDamaged(from);
  await refuseAtWork(from);
  await begin(copying);
  let copied = await compare(copying, nothing);
  for (;;) {
    const numbers = await numbersAtRest(from);
    copied = await copyAndCompare(copying, copied, numbers.positions);
    const { last } = copied;
    await from.engine.reads.snapshot((source) => copyChain(source, to, last));
    await to.queue.submit({ exclusive: true, run: (work) => work.engine.setCounters(numbers) });
    const verification = await foldAndProve(copying, copied);
    // The source grew meanwhile, if it is not finished: the rest comes over in the next round.
    if (await finish(copying, numbers)) return { tasks: verification.tasks, events: copied.events, verification };
  }
}

/** Copies a store that is at work, as it is at one moment, into an empty one that nobody else can have open. */
export async function copyAtWork(from: StoreCore, to: StoreCore): Promise<void> {
  await refuseUnfinished(from);
  await to.queue.submit({ exclusive: true, run: (work) => work.engine.beginCopy() });
  await from.engine.reads.snapshot(async (source) => {
    await copyEvents(source, to, { after: 0, upTo: Number.MAX_SAFE_INTEGER }, () => {});
    await copyChain(source, to, Number.MAX_SAFE_INTEGER);
    const numbers = await source.counters();
    await to.queue.submit({
      exclusive: true,
      run: async (work) => {
        await work.engine.setCounters(numbers);
        await takeOver(source, work.engine);
      },
    });
  });
  await rebuild(to);
}

/** @throws AzothError STORE_UNFINISHED */
async function refuseUnfinished({ engine }: StoreCore): Promise<void> {
  if (!(await engine.reads.counters()).unfinished) return;
  const message = `The store to be copied (${engine.location}) is an unfinished copy itself. Finish it first, or copy the store that it is a copy of.`;
  throw new AzothError("STORE_UNFINISHED", message);
}

/** What the log lacks in the source, it would lack in the copy for ever, and nobody could tell any more. */
async function refuseDamaged({ engine }: StoreCore): Promise<void> {
  const damage = await engine.reads.checkIntegrity();
  if (damage === null) return;
  const message = `The source (${engine.location}) contradicts itself: ${damage}. Restore a backup, and copy that.`;
  throw new AzothError("STORE_CORRUPT", message);
}

/** @throws AzothError COPY_REFUSED if there are instances whose claims are good */
async function refuseAtWork({ engine, clock }: StoreCore): Promise<void> {
  const instances = await engine.reads.listInstances();
  const nowMs = clock.now();
  const atWork = instances.filter(({ heartbeatAtMs, claimMs }) => Math.abs(nowMs - heartbeatAtMs) <= claimMs);
  if (atWork.length === 0) return;
  const names = atWork.map(({ id, name, heartbeatAtMs }) => {
    return `${quote(name)} (instance ${id}, last heard at ${new Date(heartbeatAtMs).toISOString()})`;
  });
  const longestMs = Math.max(...atWork.map(({ claimMs }) => claimMs));
  const message = `Schedulers are at work on the source: ${names.join(", ")}. Stop them. One that was killed is in the way no more ${longestMs} ms after its last sign of life.`;
  throw new AzothError("COPY_REFUSED", message, { details: { instances: atWork } });
}

/** @throws AzothError COPY_REFUSED if the target is in use */
async function begin({ to }: Copying): Promise<void> {
  if (await to.queue.submit({ exclusive: true, run: (work) => work.engine.beginCopy() })) return;
  const { events } = await to.engine.reads.snapshot((target) => target.extent());
  const message = `The target (${to.engine.location}) is neither empty nor an unfinished copy: its log has ${events} events. Copy to a store in a new place.`;
  throw new AzothError("COPY_REFUSED", message, { details: { events } });
}

/** The numbers that the source has given out, once all transactions that may use them have ended. @throws AzothError STORE_BUSY */
async function numbersAtRest({ engine }: StoreCore): Promise<Counters> {
  const startedAtMs = systemClock.now();
  for (;;) {
    const { positions, tasks, instances, resting } = await engine.reads.counters();
    if (resting) return { positions, tasks, instances };
    if (systemClock.now() - startedAtMs > restPatienceMs) {
      const message = `A transaction that writes to the source (${engine.location}) has been open for more than ${restPatienceMs} ms. End it, and copy again.`;
      throw new AzothError("STORE_BUSY", message);
    }
    await systemClock.sleep(restPauseMs);
  }
}

/** Brings over the links of the hash chain for the events that the target has. Made anew, they would hide what was altered before. */
async function copyChain(source: Snapshot, to: StoreCore, upTo: number): Promise<void> {
  let after = (await to.engine.reads.chainHead())?.position ?? 0;
  for (;;) {
    const links = await source.readChain(after, upTo, pageSize);
    const last = links.at(-1)?.position;
    if (last === undefined) return;
    await to.queue.submit({
      exclusive: true,
      run: async ({ engine }) => {
        const head = await engine.lockChain("copy");
        if (head === "held" || (head?.position ?? 0) !== after) throw otherCopy();
        await engine.extendChain(links);
      },
    });
    after = last;
    await yieldToEventLoop();
  }
}

function otherCopy(): AzothError {
  return new AzothError("STORE_BUSY", "Another copy into the same store has gone on meanwhile. Let it end.");
}

async function copyAndCompare(copying: Copying, copied: Copied, upTo: number): Promise<Copied> {
  const { from, to } = copying;
  await from.engine.reads.snapshot(async (source) => {
    const total = Math.max((await source.extent()).events, copied.events);
    await copyEvents(source, to, { after: copied.last, upTo }, (done) => {
      report(copying, { phase: "copy", done: copied.events + done, total });
    });
  });
  // What the database has stored, not what it was sent.
  return await compare(copying, copied);
}

/** Appends the events after a position to the target, and tells how many it has come to. */
async function copyEvents(
  source: Snapshot,
  to: StoreCore,
  { after, upTo }: { readonly after: number; readonly upTo: number },
  onCopied: (events: number) => void,
): Promise<void> {
  const read = (position: number) => source.readLog(position, upTo, pageSize);
  /** While a server writes: reading a file holds the event loop, so what is to be written leaves before. */
  const readMeanwhile = async (position: number) => {
    await yieldToEventLoop();
    return await read(position);
  };
  let position = after;
  let done = 0;
  for (let events = await read(after); events.length > 0; ) {
    const page = { after: position, events, last: events.at(-1)?.position ?? upTo };
    [events] = await to.queue.submit({
      exclusive: true,
      run: ({ engine }) => Promise.all([readMeanwhile(page.last), engine.appendCopied(page.after, page.events)]),
    });
    position = page.last;
    done += page.events.length;
    onCopied(done);
  }
}

/** Compares what the target has after a position with the source; returns how far that is. @throws AzothError COPY_REFUSED */
async function compare(copying: Copying, compared: Copied): Promise<Copied> {
  const { from, to } = copying;
  return await to.engine.reads.snapshot(async (target) => {
    const extent = await target.extent();
    return await from.engine.reads.snapshot(async (source) => {
      let { last, events, ofTasks } = compared;
      const total = extent.events - events;
      while (last < extent.last) {
        const [found, expected] = await Promise.all([
          target.readLog(last, extent.last, pageSize),
          source.readLog(last, extent.last, pageSize),
        ]);
        refuseDifference(copying, expected, found);
        last = found.at(-1)?.position ?? extent.last;
        events += found.length;
        ofTasks += found.filter(({ task }) => task !== null).length;
        report(copying, { phase: "compare", done: events - compared.events, total });
        await yieldToEventLoop();
      }
      return { last, events, ofTasks };
    });
  });
}

function refuseDifference(
  { from, to }: Copying,
  expected: readonly LoggedEvent[],
  found: readonly LoggedEvent[],
): void {
  const length = Math.max(expected.length, found.length);
  const index = Array.from({ length }, (_, at) => at).find((at) => !isSame(expected[at], found[at]));
  if (index === undefined) return;
  const position = Math.min(...[expected[index], found[index]].map((event) => event?.position ?? Infinity));
  const message = `The target (${to.engine.location}) is no copy of ${from.engine.location}: their logs differ at position ${position}. Copy to a store in a new place.`;
  throw new AzothError("COPY_REFUSED", message, { details: { position } });
}

function isSame(left: LoggedEvent | undefined, right: LoggedEvent | undefined): boolean {
  return (
    left !== undefined &&
    right !== undefined &&
    left.position === right.position &&
    left.type === right.type &&
    left.version === right.version &&
    left.atMs === right.atMs &&
    left.task === right.task &&
    left.run === right.run &&
    left.data === right.data &&
    left.meta === right.meta
  );
}

/** @throws AzothError STORE_CORRUPT if the log cannot be folded, or the target is not what was put into it */
async function foldAndProve(copying: Copying, { ofTasks }: Copied): Promise<Verification> {
  const { to, options } = copying;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const during = (phase: CopyProgress["phase"]) => ({
    ...signal,
    onProgress: ({ events }: { readonly events: number }) => report(copying, { phase, done: events, total: ofTasks }),
  });
  await rebuild(to, during("rebuild"));
  const verification = await verify(to, during("verify"));
  if (verification.ok) return verification;
  const { taskId, field } = verification.difference ?? { field: "log" };
  const what = taskId === undefined ? `its ${field}` : `${field} of task ${quote(taskId)}`;
  const message = `The copy at ${to.engine.location} does not follow from its log: ${what} differs. It stays unfinished; the source is as it was.`;
  throw new AzothError("STORE_CORRUPT", message, { details: { difference: verification.difference } });
}

/** Undoes the last step. */
class SourceGrew extends Error {
  override readonly name = "SourceGrew";
}

/** Puts in what is no history and opens the target, in one transaction; false, and nothing is done, if the source has grown. */
async function finish({ from, to }: Copying, numbers: Counters): Promise<boolean> {
  const { reads } = from.engine;
  try {
    await to.queue.submit({
      exclusive: true,
      run: async (work) => {
        await reads.snapshot((source) => takeOver(source, work.engine));
        // In this order: who changes a checkpoint or an instance is at work, or leaves an event.
        await refuseAtWork(from);
        const { positions, tasks, instances } = await reads.counters();
        const isSame = positions === numbers.positions && tasks === numbers.tasks && instances === numbers.instances;
        if (!isSame) throw new SourceGrew();
      },
    });
    return true;
  } catch (error) {
    if (error instanceof SourceGrew) return false;
    throw error;
  }
}

async function takeOver(source: Snapshot, target: EngineTransaction): Promise<void> {
  await target.endCopy(await source.listInstances());
  for (const checkpoint of await source.listCheckpoints()) await target.saveCheckpoint(checkpoint);
  let afterId = 0;
  for (;;) {
    const letters = await source.listDeadLetters({ afterId, limit: pageSize });
    for (const letter of letters) await target.addDeadLetter(letter);
    afterId = letters.at(-1)?.id ?? afterId;
    if (letters.length < pageSize) return;
  }
}

function report({ options }: Copying, progress: CopyProgress): void {
  options.onProgress?.(progress);
  options.signal?.throwIfAborted();
}
