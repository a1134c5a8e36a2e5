import { timeoutSignal } from '#base/clock.ts';
import { text } from 'node:stream/consumers';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { runPlugin } from './dispatch.ts';
import type { CniPlugin } from './plugin.ts';
import { invokeProgram } from './run-program.ts';

/** A plugin that takes longer than this is stuck. */
const timeoutMs = 60_000;

/** Runs a plugin as a program: environment and standard input in, standard output and exit code out. */
export async function runPluginProcess(plugin: CniPlugin): Promise<void> {
  const output = await runPlugin(
    plugin,
    { env: process.env, stdin: await text(process.stdin) },
    () => ({
      netlink: createSyncNetlink(),
      nft: createSyncNft(),
      invoke: invokeProgram,
      isNetnsRemovedByCaller: false,
    }),
    timeoutSignal(timeoutMs),
  );
  process.stdout.write(output.stdout);
  process.exitCode = output.exitCode;
}
