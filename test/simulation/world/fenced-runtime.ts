import type { FakeRuntime } from '#agent/runtime/runtime.fake.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { never, type Program } from './program.ts';
import type { VirtualTime } from './virtual-time.ts';

const callMsMax = 40;
const acting = [
  ...['runSandbox', 'stopSandbox', 'removePod', 'startContainer', 'stopContainer', 'removeContainer'],
  ...['updateContainerResources', 'updateSandboxResources', 'exec', 'reopenLog'],
] as const;

/** The runtime as one life of a kubelet has it: each call takes a while, and none is answered once that life is over. */
export function fenceRuntime(
  runtime: FakeRuntime,
  program: Program,
  { time, random }: { readonly time: VirtualTime; readonly random: () => number },
): Runtime {
  const fenced = new Map<PropertyKey, unknown>(
    acting.map((name) => [
      name,
      async (...args: unknown[]): Promise<unknown> => {
        if (!program.pass()) return never();
        await time.sleep(Math.floor(random() * callMsMax));
        if (!program.isAlive) return never();
        const call: unknown = Reflect.get(runtime, name);
        if (typeof call !== 'function') return undefined;
        try {
          const result: unknown = await Reflect.apply(call, runtime, args);
          return program.isAlive ? result : await never();
        } catch (error) {
          if (!program.isAlive) return never();
          throw error;
        }
      },
    ]),
  );
  fenced.set('onChange', (listener: (uid: string) => void) =>
    runtime.onChange((uid) => {
      if (program.isAlive) listener(uid);
    }),
  );
  return new Proxy<Runtime>(runtime, {
    get: (target, name) => {
      const own = fenced.get(name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
