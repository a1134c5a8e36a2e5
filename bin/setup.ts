import { describeError, isPodwrightError } from '#base/errors.ts';
import { ensureSupervisor } from '#native/launch/build.ts';
import { print } from './terminal/print.ts';
import { bringBusybox } from './setup/bring-busybox.ts';

/** What a checkout needs besides its packages, which the entry script has seen to. Without a busybox there is only no demo image. */
export async function runSetup(): Promise<void> {
  print(`supervisor: ${await ensureSupervisor()}`);
  try {
    print(`busybox: ${await bringBusybox()}`);
  } catch (error) {
    if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
    console.error(`podwright: ${describeError(error)}`);
  }
}
