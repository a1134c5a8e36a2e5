/** `podwright-oci` as a program: one file of all of it (bin/oci/install-oci.ts), with its runner beside it. */
import { join } from 'node:path';
import { runMain } from '#oci-runtime/main.ts';

/** @param directory of what was installed */
export async function main(directory: string, version: string, args: readonly string[]): Promise<void> {
  process.exitCode = await runMain(args, { version, runner: join(directory, 'runner') });
}
