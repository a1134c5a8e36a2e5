/**
 * Programs and threads that are started often, by the names that files of the bundle get, with what each enters: files below the
 * root, without `.ts` or `.js`. What a program always loads by `import()` while it starts is entered by it, too.
 */
export const programs: Readonly<Record<string, readonly string[]>> = {
  main: ['bin/main'],
  agent: ['bin/main', 'bin/agent', 'agent/runtime/create-runtime'],
  server: ['bin/main', 'bin/server'],
  up: ['bin/main', 'bin/up/command'],
  netlink: ['native/netlink/worker-thread'],
  unpack: ['agent/runtime/images/unpack/unpack-worker'],
  disk: ['control-plane/store/disk.worker'],
  image: ['bin/main', 'bin/image'],
  status: ['bin/main', 'bin/status', 'bin/token'],
  plan: ['bin/main', 'bin/plan'],
};
