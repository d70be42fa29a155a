/** A length of time in a schema: refused with the reason that the library gives. */
import { z } from "zod";
import { parseDuration } from "../../duration.ts";
import { messageOf } from "../../errors.ts";

export function duration(limits: { readonly minMs?: number; readonly maxMs?: number } = {}) {
  return z.union([z.string(), z.number()]).check((context) => {
    try {
      parseDuration(context.value, { what: "the duration", ...limits });
    } catch (error) {
      context.issues.push({ code: "custom", message: messageOf(error), input: context.value });
    }
  });
}
