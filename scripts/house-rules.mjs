/** Lint rules of this project that no published rule covers; loaded by .oxlintrc.json. */

/** Refuses `new Date()` and `Date()`, which read the machine's clock; `new Date(value)` is a pure conversion. */
const noAmbientDate = {
  meta: {
    type: "problem",
    messages: { ambient: "This reads the machine's clock: take `now` from the Clock (src/clock.ts)." },
  },
  create(context) {
    const isDate = (node) => node.type === "Identifier" && node.name === "Date";
    return {
      NewExpression(node) {
        if (isDate(node.callee) && node.arguments.length === 0) context.report({ node, messageId: "ambient" });
      },
      CallExpression(node) {
        if (isDate(node.callee)) context.report({ node, messageId: "ambient" });
      },
    };
  },
};

export default {
  meta: { name: "house" },
  rules: { "no-ambient-date": noAmbientDate },
};
