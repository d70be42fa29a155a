/**
 * Own tables, own events and tasks in one commit: all of it or nothing, and the same for what a handler writes.
 */
import { AzothDb, immediate, Scheduler, taskHandler } from "azoth-scheduler";

const done = new AbortController();

const confirm = taskHandler({
  taskType: "send_confirmation",
  execute(ctx, { order }: { order: string }) {
    console.log(`Confirming order ${order}.`);
    // Kept until this run completes, and committed with its completion: a failed attempt writes nothing.
    ctx.transaction.execute("UPDATE orders SET confirmed = 1 WHERE id = ?", [order]);
    done.abort();
    return { eventType: "order_confirmed", payload: { order } };
  },
});

await using db = await AzothDb.open(process.argv[2] ?? ":memory:");
const scheduler = new Scheduler(db, { handlers: [confirm] });

await db.transaction((tx) => tx.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, confirmed INTEGER)"));

async function placeOrder(order: string, amount: number) {
  return await scheduler.transaction(async (tx) => {
    await tx.execute("INSERT INTO orders VALUES (?, 0)", [order]);
    const position = await tx.append({ eventType: "order_placed", payload: { order, amount } });
    await tx.scheduleTask({ taskType: "send_confirmation", schedule: immediate(), payload: { order } });
    if (amount > 1000) throw new Error("over the limit");
    return position;
  });
}

console.log(`Order A placed, its event is at position ${await placeOrder("A", 20)}.`);
await placeOrder("B", 2000).catch((error: unknown) => console.log(`Order B refused: ${String(error)}.`));

await scheduler.run({ signal: done.signal });

console.log("The table:", await db.query("SELECT id, confirmed FROM orders"));
for await (const { position, eventType, payload } of db.readLog({ eventTypes: ["order_placed", "order_confirmed"] })) {
  console.log(`#${position} ${eventType} ${JSON.stringify(payload)}`);
}

// Prints:
// Order A placed, its event is at position 1.
// Order B refused: Error: over the limit.
// Confirming order A.
// The table: [ { id: 'A', confirmed: 1 } ]
// #1 order_placed {"order":"A","amount":20}
// #5 order_confirmed {"order":"A"}
