/** Why a run of a built-in task type failed. Its stack would only tell of this program, so it has none. */
export class RunFailed extends Error {
  override readonly name: string;

  constructor(name: "CommandFailed" | "RequestFailed" | "SecretMissing", message: string) {
    super(message);
    this.name = name;
    delete this.stack;
  }
}
