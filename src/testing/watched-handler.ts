/** Task handlers as the kit registers them: the user's own, with each call known as a piece of work. */
import type { AnyTaskHandler, TaskContext } from "../scheduler/task-handler.ts";
import { callHandler, type PieceOfWork, type WorkInProgress } from "./work-in-progress.ts";

/** The same handler to whoever looks at it; what is no handler is passed on, so that the Scheduler says what is wrong. */
export function watchedHandler<Handler extends AnyTaskHandler>(handler: Handler, work: WorkInProgress): Handler {
  if (!isHandler(handler)) return handler;
  const execute = (context: TaskContext, payload: never): unknown => {
    const piece = work.begin();
    return callHandler(piece, () => handler.execute(watchedContext(context, piece), payload));
  };
  return new Proxy(handler, {
    get(target, key) {
      if (key === "execute") return execute;
      // The target and not the proxy is `this`, or a class with private fields would not find them.
      const value: unknown = Reflect.get(target, key, target);
      return key === "validate" && typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function isHandler(handler: AnyTaskHandler): boolean {
  try {
    return typeof handler === "object" && handler !== null && typeof handler.execute === "function";
  } catch {
    return false;
  }
}

/** The same context, whose signal stirs the piece of work when it aborts: a handler may then tidy up in real time. */
function watchedContext(context: TaskContext, piece: PieceOfWork): TaskContext {
  let watching = false;
  return new Proxy(context, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key !== "signal" || watching) return value;
      watching = true;
      (value as AbortSignal).addEventListener("abort", () => piece.stir(), { once: true });
      return value;
    },
  });
}
