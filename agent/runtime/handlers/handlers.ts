import { PodwrightError } from '#base/errors.ts';
import type { HandlerFeatures, SandboxConfig } from '#agent/runtime/runtime.ts';
import { ownHandler, type Handler } from './handler.ts';

/** Who makes containers on this node. */
export interface Handlers {
  /** By name, the runtime itself first. */
  readonly features: ReadonlyMap<string, HandlerFeatures>;
  /** @throws E_UNSUPPORTED in the kubelet's words, for one that is not there or cannot do what the pod asks */
  of(sandbox: SandboxConfig): Handler;
  /** Of a pod whose handler is not there any more, the supervisor knows the processes all the same. */
  thatIs(sandbox: SandboxConfig): Handler;
}

/** By which our own is asked for, beside no name. */
const ownName = 'podwright';

export function createHandlers(others: ReadonlyMap<string, Handler> = new Map()): Handlers {
  const own = ownHandler({ recursiveReadOnlyMounts: true, userNamespaces: true });
  const all = new Map([['', own], [ownName, own], ...others]);
  return {
    features: new Map([...all].map(([name, { features }]) => [name, features])),
    of: ({ runtimeHandler: name = '', ids, hasOwnUsers, sharePidNamespace }) => {
      const found = all.get(name);
      if (found === undefined)
        throw new PodwrightError('E_UNSUPPORTED', `RuntimeHandler ${JSON.stringify(name)} not supported`);
      const isOfUsers = ids !== undefined || hasOwnUsers === true;
      if (isOfUsers && !found.features.userNamespaces)
        throw new PodwrightError(
          'E_UNSUPPORTED',
          `RuntimeClass handler ${JSON.stringify(name)} does not support user namespaces`,
        );
      // The pod's pid namespace is the host's: whoever is in a user namespace mounts no proc of it (pid_namespaces(7)).
      if (isOfUsers && sharePidNamespace && found !== own)
        throw new PodwrightError(
          'E_UNSUPPORTED',
          `RuntimeClass handler ${JSON.stringify(name)} does not support user namespaces with shareProcessNamespace`,
        );
      return found;
    },
    thatIs: ({ runtimeHandler: name = '' }) => all.get(name) ?? own,
  };
}
