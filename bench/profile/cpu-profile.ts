/** V8's CPU profiler around a piece of work, and what it saw as stacks with the time spent on top of each. */
import { type Profiler, Session } from "node:inspector/promises";

/** One function on a stack. */
export interface Frame {
  readonly functionName: string;
  /** Empty for native functions and for V8's own entries such as "(garbage collector)". */
  readonly url: string;
  /** From 1. */
  readonly line: number;
}

/** The time spent in the first frame itself, called from the others. */
export interface StackTime {
  readonly frames: readonly [Frame, ...Frame[]];
  readonly microseconds: number;
}

const samplingMicroseconds = 100;

export async function profileOf(work: () => Promise<void>): Promise<StackTime[]> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
    await session.post("Profiler.start");
    await work();
    const { profile } = await session.post("Profiler.stop");
    return stackTimes(profile);
  } finally {
    session.disconnect();
  }
}

/** Sums the time of the samples by stack. */
export function stackTimes(profile: Profiler.Profile): StackTime[] {
  const { nodes, samples = [], timeDeltas = [] } = profile;
  const microseconds = new Map<number, number>();
  for (const [index, id] of samples.entries()) {
    // The time before a sample belongs to it: no sample is taken inside of a system call, but at its return.
    microseconds.set(id, (microseconds.get(id) ?? 0) + Math.max(0, timeDeltas[index] ?? 0));
  }
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, frameOf(callFrame)] as const));
  return [...microseconds].map(([id, time]) => ({ frames: stackOf(id, frames, parents), microseconds: time }));
}

function frameOf({ functionName, url, lineNumber }: { functionName: string; url: string; lineNumber: number }): Frame {
  return { functionName: functionName || "(anonymous)", url, line: lineNumber + 1 };
}

function stackOf(
  top: number,
  frames: ReadonlyMap<number, Frame>,
  parents: ReadonlyMap<number, number>,
): [Frame, ...Frame[]] {
  const unknown: Frame = { functionName: "(unknown)", url: "", line: 0 };
  const stack: [Frame, ...Frame[]] = [frames.get(top) ?? unknown];
  for (let id = parents.get(top); id !== undefined; id = parents.get(id)) stack.push(frames.get(id) ?? unknown);
  return stack;
}
