import { ensureSupervisor } from '#native/launch/build.ts';

/** Builds what is built once on a machine; packages and tools were seen to by the entry script. */
export async function runSetup(): Promise<void> {
  process.stdout.write(`supervisor: ${await ensureSupervisor()}\n`);
}
