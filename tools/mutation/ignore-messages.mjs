/**
 * Tells Stryker to leave the words of messages alone: texts inside of `new ...Error(...)` and of the functions that
 * make one. What an error says is held by its code and by what stands in it, not word by word.
 */
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";

const makesError = /(?:Error|^refusal)$/;

/** True for `new AzothError(...)`, `refusal(...)`. */
function isErrorMade({ node }) {
  return (node.type === "NewExpression" || node.type === "CallExpression") && makesError.test(node.callee.name ?? "");
}

const messages = {
  shouldIgnore(path) {
    if (!path.isStringLiteral() && !path.isTemplateLiteral()) return undefined;
    return path.findParent(isErrorMade) === null ? undefined : "the words of a message";
  },
};

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, "messages", messages)];
