/** replay(log) == state: how fast that is proved, and how fast the state is made anew. */
import { Azoth } from "../systems/azoth.ts";
import { eventsPerTask } from "../systems/system.ts";
import { type Scenario, secondsOf } from "./scenario.ts";
import { liveThrough } from "./whole-lives.ts";

export const replay: Scenario = {
  name: "replay",
  title: "Verify and rebuild",
  explanation:
    "`db.verify()` and `db.rebuild()` on a store of finished tasks with four events each, nothing else running.",
  contest: "azoth",
  metrics: {
    verified: { label: "verify (events/s)", compared: false },
    rebuilt: { label: "rebuild (events/s)", compared: false },
  },
  async measure({ directory, system, tasks }) {
    const azoth = await Azoth.open(directory, system);
    await liveThrough(azoth, tasks);
    const events = tasks * eventsPerTask;
    const verifySeconds = await secondsOf(async () => {
      const { ok, difference } = await azoth.db.verify();
      if (!ok) throw new Error(`the log and the state differ: ${JSON.stringify(difference)}`);
    });
    const rebuildSeconds = await secondsOf(() => azoth.db.rebuild());
    await azoth.close();
    return { verified: events / verifySeconds, rebuilt: events / rebuildSeconds };
  },
};
