/** Where a page of tasks ends, so that long payloads do not fill the memory. */
import type { TaskState } from "../tasks/task-state.ts";

/** Characters of payloads after which a page of tasks ends. */
export const taskPageCharacters = 8_388_608;

/** The tasks up to where their payloads become long: the first of them, whatever it has. */
export function shortPage(tasks: readonly TaskState[], payloadOf: (task: TaskState) => string): TaskState[] {
  const page: TaskState[] = [];
  let characters = 0;
  for (const task of tasks) {
    if (characters >= taskPageCharacters) break;
    const payload = payloadOf(task);
    characters += payload.length;
    page.push(payload === task.payload ? task : { ...task, payload });
  }
  return page;
}
