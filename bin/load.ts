/**
 * `podwright load`, for the entry script: loads what the long-running programs and their threads load, and ends. Node strips a
 * file's types with a program that it keeps in memory from then on (30 MB, and again in each thread), unless its compile cache
 * has the file as it is now, for the same Node and the same options of V8.
 */
export async function runLoad(): Promise<void> {
  await Promise.all([
    import('./agent.ts'),
    import('./server.ts'),
    import('./up/command.ts'),
    import('#agent/runtime/images/unpack/unpack-worker.ts'),
    import('#control-plane/store/disk.worker.ts'),
    import('#native/netlink/worker-thread.ts'),
  ]);
}
