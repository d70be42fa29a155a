/** What a soak measures of its own process: memory after a collection of garbage, and how late timers are. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const mebibyte = 1_048_576;
/** What may come and go in a process of this size, however little is done in it. */
const heapNoise = 8 * mebibyte;
/** What of a task may stay in memory when it is done, beyond that: nothing, but for what a figure is uncertain. */
const mostBytesPerTask = 16;
const mostRssGrowth = 256 * mebibyte;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

interface Sample {
  readonly tasks: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
}

export type Figures = Readonly<Record<string, number | string>>;

/** Memory by the tasks that have been done: what grows with them is a leak. */
export class MemoryWatch {
  readonly #samples: Sample[] = [];
  #peakRssBytes = 0;

  sample(tasks: number): void {
    this.#peakRssBytes = Math.max(this.#peakRssBytes, process.memoryUsage.rss());
    collectGarbage();
    const { heapUsed, rss } = process.memoryUsage();
    this.#samples.push({ tasks, heapBytes: heapUsed, rssBytes: rss });
  }

  /** The first quarter warms up. */
  get #settled(): readonly Sample[] {
    return this.#samples.slice(Math.floor(this.#samples.length / 4));
  }

  get figures(): Figures {
    const last = this.#settled.at(-1);
    return {
      "heap MiB": round((last?.heapBytes ?? 0) / mebibyte),
      "heap growth bytes/task": round(slope(this.#settled)),
      "rss MiB": round((last?.rssBytes ?? 0) / mebibyte),
      "peak rss MiB": round(this.#peakRssBytes / mebibyte),
    };
  }

  /** What is not flat. */
  violations(): string[] {
    const settled = this.#settled;
    const [first, last] = [settled[0], settled.at(-1)];
    if (first === undefined || last === undefined || first === last) return ["memory was not measured often enough"];
    const tasks = last.tasks - first.tasks;
    const growth = slope(settled) * tasks;
    const rssGrowth = last.rssBytes - first.rssBytes;
    return [
      ...(growth > Math.max(heapNoise, mostBytesPerTask * tasks)
        ? [`the heap has grown by ${round(growth / mebibyte)} MiB over ${tasks} tasks`]
        : []),
      ...(rssGrowth > mostRssGrowth ? [`the process has grown by ${round(rssGrowth / mebibyte)} MiB`] : []),
    ];
  }
}

/** Of the line with the least squares: bytes of heap for each task. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, each) => sum + of(each), 0) / samples.length;
  const tasks = mean((sample) => sample.tasks);
  const bytes = mean((sample) => sample.heapBytes);
  const spread = samples.reduce((sum, sample) => sum + (sample.tasks - tasks) ** 2, 0);
  const together = samples.reduce((sum, sample) => sum + (sample.tasks - tasks) * (sample.heapBytes - bytes), 0);
  return spread === 0 ? 0 : together / spread;
}

/** Seconds, and how late timers were meanwhile. */
export class Stopwatch {
  readonly #startedAtMs = performance.now();
  readonly #delay = monitorEventLoopDelay({ resolution: 5 });

  constructor() {
    this.#delay.enable();
  }

  get ms(): number {
    return performance.now() - this.#startedAtMs;
  }

  stop(tasks: number): Figures {
    this.#delay.disable();
    const { ms } = this;
    return {
      seconds: round(ms / 1_000),
      "tasks/s": Math.round((tasks * 1_000) / ms),
      "loop delay p99 ms": round(this.#delay.percentile(99) / 1e6),
      "loop delay max ms": round(this.#delay.max / 1e6),
    };
  }
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
