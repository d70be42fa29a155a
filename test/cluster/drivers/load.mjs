/** A load of commands of every kind, drawn from a seed; each is told when it is acknowledged. */
import { setTimeout as sleep } from "node:timers/promises";
import { immediate, interval } from "../../../dist/index.js";
import { tell } from "./tell.mjs";

/** Callers that wait for their own commands, beside each other. */
const callers = 4;

/** As src/random.ts has it (mulberry32), which the package does not export. */
function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Ends after so many commands, when the signal aborts, or with the process. */
export async function generateLoad({ db, scheduler, name, seed, commands, signal }) {
  const acknowledge = (...taskIds) => tell({ is: "acknowledged", taskIds });
  // Declared at every boot, as applications do.
  await scheduler.scheduleTask({ taskId: "tick", taskType: "note", schedule: interval("40ms"), payload: {} });
  acknowledge("tick");
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      const random = seededRandom(seed * callers + caller);
      for (let number = 0; number < commands / callers && !signal.aborted; number++) {
        try {
          await command({ db, scheduler, random, acknowledge, id: `${name}.${caller}.${number}` });
        } catch (error) {
          if (signal.aborted && error.code === "STORE_CLOSED") return;
          tell({ is: "refused", code: error.code ?? error.name, message: error.message });
        }
        await sleep(random() * 8);
      }
    }),
  );
  tell({ is: "loaded" });
}

async function command({ db, scheduler, random, acknowledge, id }) {
  const task = (taskId, payload) => ({ taskId, taskType: "note", schedule: immediate(), payload });
  const drawn = random();
  if (drawn < 0.5) {
    const payload = { pauseMs: random() < 0.2 ? Math.ceil(random() * 30) : 0, child: random() < 0.2 };
    acknowledge((await scheduler.scheduleTask(task(id, payload))).taskId);
  } else if (drawn < 0.65) {
    acknowledge((await scheduler.scheduleTask(task(id, { failures: Math.ceil(random() * 3) }))).taskId);
  } else if (drawn < 0.75) {
    // Under a generated id, as a job queue is used.
    acknowledge((await scheduler.scheduleTask(task(undefined, {}))).taskId);
  } else if (drawn < 0.85) {
    const many = Array.from({ length: 10 }, (_, index) => task(`${id}.${index}`, {}));
    acknowledge(...(await scheduler.scheduleTasks(many)).map(({ taskId }) => taskId));
  } else if (drawn < 0.95) {
    await db.transaction(async (tx) => {
      await tx.append({ eventType: "order_placed", payload: { id } });
      await tx.execute("INSERT INTO orders VALUES (?)", [id]);
      await tx.scheduleTask(task(id, {}));
    });
    acknowledge(id);
  } else {
    // Far in the future, so that it is certain what the cancellation ends.
    const taskId = `later.${id}`;
    await scheduler.scheduleTask({ ...task(taskId, {}), schedule: interval("1d") });
    acknowledge(taskId);
    await scheduler.cancelTask(taskId, "called off");
    tell({ is: "cancelled", taskId });
  }
}
