/**
 * Values that are named and not written: `env:NAME`, or `${env:NAME}` inside of a text. What is stored is the name; the
 * value is looked up when a task runs, and taken out of everything that the run leaves behind.
 */

import { RunFailed } from "./run-failed.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Shorter values would take half of an output with them. */
const shortestSecret = 4;

export class Secrets {
  readonly #environment: Environment;
  /** By name. */
  readonly #used = new Map<string, string>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** @throws RunFailed that names the variable, if it is not set */
  resolve(text: string): string {
    const whole = /^env:(\w+)$/.exec(text)?.[1];
    if (whole !== undefined) return this.#valueOf(whole);
    return text.replaceAll(/\$\{env:(\w+)\}/g, (_, name: string) => this.#valueOf(name));
  }

  resolveAll(texts: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, this.resolve(text)]));
  }

  /** The text with the names in place of the values. */
  hide(text: string): string {
    let shown = text;
    for (const [name, value] of this.#used) {
      if (value.length >= shortestSecret) shown = shown.replaceAll(value, `[env:${name}]`);
    }
    return shown;
  }

  #valueOf(name: string): string {
    const value = this.#environment[name];
    if (value === undefined) {
      throw new RunFailed("SecretMissing", `The environment variable ${name} is not set where the daemon runs.`);
    }
    this.#used.set(name, value);
    return value;
  }
}
