/**
 * Holds the public names and types of one entry point to its report in etc/, so that no change of the API goes unseen.
 *
 *     node scripts/api-report.mjs index|config|testing [--write]
 *
 * Reads dist; needs a build. `--write` accepts the present API.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";

const root = fileURLToPath(new URL("..", import.meta.url));
const [entry, ...options] = process.argv.slice(2);
const entries = { index: "dist/index.d.ts", config: "dist/cli/config/index.d.ts", testing: "dist/testing/index.d.ts" };
if (!Object.hasOwn(entries, entry)) throw new Error(`The entry is one of ${Object.keys(entries).join(", ")}.`);
if (!existsSync(join(root, entries[entry]))) throw new Error(`${entries[entry]} is missing: run npm run build first.`);

const none = { default: { logLevel: ExtractorLogLevel.None } };
for (const folder of ["etc", ".build/api"]) mkdirSync(join(root, folder), { recursive: true });

const { succeeded, apiReportChanged } = Extractor.invoke(
  ExtractorConfig.prepare({
    packageJsonFullPath: join(root, "package.json"),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, entries[entry]),
      newlineKind: "lf",
      compiler: { tsconfigFilePath: join(root, "tsconfig.build.json"), skipLibCheck: true },
      apiReport: {
        enabled: true,
        reportFileName: `${entry}.api.md`,
        reportFolder: join(root, "etc"),
        reportTempFolder: join(root, ".build/api"),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        // A type that is used in public and not exported is worth a line in the report, not a failure.
        extractorMessageReporting: {
          ...none,
          "ae-forgotten-export": { logLevel: ExtractorLogLevel.Warning, addToApiReportFile: true },
        },
        tsdocMessageReporting: none,
      },
    },
  }),
  {
    localBuild: options.includes("--write"),
    showVerboseMessages: false,
    messageCallback(message) {
      // Its own notes (which compiler it brings) are no findings.
      if (message.logLevel === ExtractorLogLevel.Info || message.logLevel === ExtractorLogLevel.Verbose)
        message.handled = true;
    },
  },
);
if (apiReportChanged)
  console.log(`The API of ${entry} has changed: see etc/${entry}.api.md. Accept it with npm run fix.`);
if (!succeeded) process.exitCode = 1;
