/** Opens a system on a fresh store, and loads no other. */
import type { OpenSystem, Setting, SystemName } from "./system.ts";

export async function openSystem(name: SystemName, setting: Setting): Promise<OpenSystem> {
  switch (name) {
    case "azoth-sqlite":
    case "azoth-postgres":
      return await (await import("./azoth.ts")).Azoth.open(setting);
    case "azoth-sqlite-normal":
      return await (await import("./azoth.ts")).Azoth.open(setting, { durability: "normal" });
    case "bare-loop":
      return await (await import("./bare-loop.ts")).BareLoop.open(setting);
    case "bare-loop-normal":
      return await (await import("./bare-loop.ts")).BareLoop.open(setting, "normal");
    case "one-insert-sqlite":
      return await (await import("./one-insert.ts")).openOnSqlite(setting);
    case "one-insert-postgres":
      return await (await import("./one-insert.ts")).openOnPostgres(setting);
    case "bare-statements":
      return await (await import("./bare-statements.ts")).BareStatements.open(setting);
    case "plainjob":
      return await (await import("./plainjob.ts")).Plainjob.open(setting);
    case "graphile-worker":
      return await (await import("./graphile-worker.ts")).GraphileWorker.open(setting);
    case "pg-boss":
      return await (await import("./pg-boss.ts")).PgBossQueue.open(setting);
    case "bullmq":
      return await (await import("./bullmq.ts")).BullMq.open(setting);
  }
}
