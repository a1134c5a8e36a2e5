import { ensureSupervisor } from '#native/launch/build.ts';
import { print } from './print.ts';

/** Builds what is built once on a machine; packages and tools were seen to by the entry script. */
export async function runSetup(): Promise<void> {
  print(`supervisor: ${await ensureSupervisor()}`);
}
