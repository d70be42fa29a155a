/** Telling the test something, so that it has it even if this process is killed with the next instruction. */
import { writeSync } from "node:fs";

/** @param {import("../messages.ts").Message} message */
export function tell(message) {
  let rest = Buffer.from(`${JSON.stringify(message)}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // The test has not read for a while.
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
