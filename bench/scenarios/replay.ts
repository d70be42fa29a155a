/** replay(log) == state: how fast that is proved, and how fast the state is made anew. */
import { Azoth } from "../systems/azoth.ts";
import { azothOnBoth, type Scenario, secondsOf } from "./scenario.ts";
import { liveThrough } from "./whole-lives.ts";

export const replay: Scenario = {
  name: "replay",
  title: "Verify and rebuild",
  explanation:
    "`db.verify()` and `db.rebuild()` on a store of finished tasks with four events each, nothing else running.",
  systems: azothOnBoth,
  metrics: { verified: "verify (events/s)", rebuilt: "rebuild (events/s)" },
  targets: [
    { engine: "sqlite", metric: "verified", atLeast: 150_000 },
    { engine: "sqlite", metric: "rebuilt", atLeast: 150_000 },
    { engine: "postgres", metric: "verified", atLeast: 50_000 },
    { engine: "postgres", metric: "rebuilt", atLeast: 50_000 },
  ],
  async measure(stage) {
    const azoth = await Azoth.open(stage);
    await liveThrough(azoth, stage.tasks);
    const { events } = await azoth.count();
    const verifySeconds = await secondsOf(async () => {
      const { ok, difference } = await azoth.db.verify();
      if (!ok) throw new Error(`the log and the state differ: ${JSON.stringify(difference)}`);
    });
    const rebuildSeconds = await secondsOf(() => azoth.db.rebuild());
    await azoth.close();
    return { verified: events / verifySeconds, rebuilt: events / rebuildSeconds };
  },
};
