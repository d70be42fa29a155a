/** A load of commands of every kind, drawn from a seed. The test is told what became of each, as far as the node knows. */
import { setTimeout as sleep } from "node:timers/promises";
import { immediate, interval } from "../../../dist/index.js";
import { seededRandom } from "../../../dist/testing/index.js";
import { tell } from "../drivers/tell.mjs";

/** Callers that wait for their own commands, beside each other, and how long they rest after each at the most. */
const callers = 3;
const longestRestMs = 60;
const colours = ["note", "note", "red", "blue"];
/** The recurring tasks, with their intervals; as the checker has them. */
const ticks = { "tick.a": "40ms", "tick.b": "130ms", "tick.c": "250ms" };

/** Ends when the signal aborts, or with the process. */
export async function generateLoad({ db, scheduler, name, seed, signal }) {
  // Declared at every boot, as applications do; again, if the server is away just now.
  for (const [taskId, every] of Object.entries(ticks)) {
    const request = { taskId, taskType: "note", schedule: interval(every), payload: { key: taskId } };
    while (!signal.aborted && !(await attempt([taskId], () => scheduler.scheduleTask(request)))) await sleep(100);
  }
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      const random = seededRandom(seed * callers + caller);
      for (let number = 0; !signal.aborted; number++) {
        const carriedOut = await command({ db, scheduler, random, key: `${name}.${caller}.${number}` });
        // Who was rejected waits for better times.
        await sleep(carriedOut ? random() * longestRestMs : longestRestMs);
      }
    }),
  );
  tell({ is: "quiet" });
}

/** Tells what became of a command; resolves with whether it is known to be carried out. */
async function attempt(keys, run) {
  try {
    await run();
    tell({ is: "acknowledged", keys });
    return true;
  } catch (error) {
    if (error.details?.outcome === "unknown") tell({ is: "doubtful", keys });
    else tell({ is: "rejected", keys, code: error.code ?? error.name, message: error.message });
    return false;
  }
}

async function command({ db, scheduler, random, key }) {
  const taskType = colours[Math.floor(random() * colours.length)];
  const task = (taskId, payload = {}) => ({ taskId, taskType, schedule: immediate(), payload: { key, ...payload } });
  const drawn = random();
  if (drawn < 0.5) {
    const pauseMs = random() < 0.2 ? Math.ceil(random() * 30) : 0;
    return await attempt([key], () => scheduler.scheduleTask(task(key, { pauseMs })));
  }
  if (drawn < 0.65) {
    const failures = Math.ceil(random() * 3);
    return await attempt([key], () => scheduler.scheduleTask(task(key, { failures })));
  }
  // Under a generated id, as a job queue is used.
  if (drawn < 0.75) return await attempt([key], () => scheduler.scheduleTask(task(undefined)));
  if (drawn < 0.85) {
    const keys = Array.from({ length: 10 }, (_, index) => `${key}.${index}`);
    const tasks = keys.map((each) => task(each, { key: each }));
    return await attempt(keys, () => scheduler.scheduleTasks(tasks));
  }
  return await attempt([key], () =>
    db.transaction(async (tx) => {
      await tx.append({ eventType: "order_placed", payload: { id: key } });
      await tx.execute("INSERT INTO orders VALUES (?)", [key]);
      await tx.scheduleTask(task(key));
    }),
  );
}
