/**
 * Adds up what the tests and the checks wrote; the last line is "N passed, N failed".
 *
 *     node scripts/ci-summary.mjs <tests.json> <exit code> <checks.json> <exit code>
 *
 * A run that left no results, or that failed although nothing in its results did, counts as one failure.
 */
import { existsSync, readFileSync } from "node:fs";

const [testsFile, testsExitCode, checksFile, checksExitCode] = process.argv.slice(2);
const read = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined);

function countTests(results) {
  if (results === undefined) return { passed: 0, failed: 0, skipped: 0 };
  // A file that cannot be loaded has no tests to count.
  const unloaded = results.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + unloaded.length,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

function countChecks(results = []) {
  const passed = results.filter((step) => step.passed).length;
  return { passed, failed: results.length - passed, skipped: 0 };
}

function withExitCode(counts, exitCode) {
  return exitCode !== "0" && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

const tests = withExitCode(countTests(read(testsFile)), testsExitCode);
const checks = withExitCode(countChecks(read(checksFile)), checksExitCode);
console.log(`Tests: ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped.`);
console.log(`Checks: ${checks.passed} passed, ${checks.failed} failed.`);

const passed = tests.passed + checks.passed;
const failed = tests.failed + checks.failed;
if (failed > 0 || passed === 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed`);
