/**
 * "When X was recorded, run Y": an event handler that schedules tasks, a read model that counts each event once,
 * and a dead letter that is looked at and replayed.
 */
import { AzothDb, eventHandler, immediate, Scheduler, taskHandler } from "azoth-scheduler";

interface Order {
  readonly order: string;
  readonly items: number;
}

const ship = taskHandler({
  taskType: "ship_order",
  execute(_ctx, { order, items }: Order) {
    console.log(`Shipping ${items} items of ${order}.`);
    return { eventType: "order_shipped", payload: { order, items } };
  },
});

// The task is scheduled in the transaction that moves this handler's checkpoint: once for each order.
const shipping = eventHandler<Order>({
  name: "shipping",
  eventType: "order_placed",
  handle: (event, tx) =>
    tx.scheduleTask({
      taskId: `ship-${event.payload.order}`,
      taskType: "ship_order",
      schedule: immediate(),
      payload: event.payload,
    }),
});

// A read model of its own table: written exactly once for each event, also across a crash.
let scalesWork = false;
const totals = eventHandler<Order>({
  name: "totals",
  eventType: "order_shipped",
  setUp: (tx) => tx.execute("CREATE TABLE IF NOT EXISTS shipped (items INTEGER)"),
  async handle(event, tx) {
    await tx.execute("INSERT INTO shipped VALUES (?)", [event.payload.items]);
    if (event.payload.items > 10 && !scalesWork) throw new Error("too heavy for the scales");
  },
  onError: { retry: { maxAttempts: 2, base: "20ms" }, then: "dead-letter" },
});

await using db = await AzothDb.open(process.argv[2] ?? ":memory:");
const scheduler = new Scheduler(db, { handlers: [ship], eventHandlers: [shipping, totals] });
const shipped = async () => Number((await db.query("SELECT sum(items) AS items FROM shipped"))[0]?.items);

await db.transaction(async (tx) => {
  await tx.append({ eventType: "order_placed", payload: { order: "A", items: 2 } });
  await tx.append({ eventType: "order_placed", payload: { order: "B", items: 1 } });
  await tx.append({ eventType: "order_placed", payload: { order: "C", items: 30 } });
});

await scheduler.start();
for await (const event of db.subscribe({ eventTypes: ["EventDeadLettered"] })) {
  const { handler, error, attempts } = event.payload as { handler: string; error: string; attempts: number };
  console.log(`${handler} gave up after ${attempts} attempts: ${error}`);
  break;
}
await scheduler.stop();

console.log(`${await shipped()} items in the totals.`);
scalesWork = true;
for (const { id } of await scheduler.eventHandlers.deadLetters()) await scheduler.eventHandlers.replayDeadLetter(id);
console.log(`${await shipped()} items after the replay.`);

// Prints:
// Shipping 2 items of A.
// Shipping 1 items of B.
// Shipping 30 items of C.
// totals gave up after 2 attempts: Error: too heavy for the scales
// 3 items in the totals.
// 33 items after the replay.
