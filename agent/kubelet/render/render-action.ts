import path from 'node:path';
import { describeError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import type { Action, IntentOf, VolumesToMount } from './action.ts';
import { withAllocation } from '#agent/kubelet/allocation.ts';
import { renderSandbox } from './container-config.ts';
import { podHostname, resolvConfOf } from './host-files.ts';
import { containersOf, type Intent } from '#agent/kubelet/sync/pod-input.ts';
import { podPaths } from '#agent/kubelet/pod-paths.ts';
import { downwardOf, hookOf, type RenderInput } from './render-input.ts';
import { renderStart, type StartReading } from './render-start.ts';
import { podCgroupResources } from './resources.ts';

/** Who makes the containers of the pod's sandbox, or why nobody does. */
export type SandboxReading = { readonly handler: string } | { readonly problem: string };

/** A container is started, and a sandbox made, with what was read for it; for nothing else is anything read. */
export type ReadIntent =
  | Exclude<Intent, { readonly kind: 'startContainer' | 'runSandbox' }>
  | (IntentOf<'runSandbox'> & { readonly reading: SandboxReading })
  | (IntentOf<'startContainer'> & { readonly reading: StartReading });

/** The whole action that an intent names. Pure and total: what cannot be described is an action that says so. */
export function renderAction(intent: ReadIntent, input: RenderInput): Action {
  const { pod, directories } = input;
  switch (intent.kind) {
    case 'prepareVolumes':
      return { kind: intent.kind, volumes: volumesOf(input), directories: directoriesOf(input) };
    case 'refreshVolumes':
      return { kind: intent.kind, volumes: volumesOf(input) };
    case 'runSandbox':
      return renderRunSandbox(intent, input);
    case 'pullImage': {
      const secrets = (pod.spec?.imagePullSecrets ?? []).map(({ name = '' }) => name);
      return { ...intent, secrets };
    }
    case 'startContainer':
      return renderStart(intent, input);
    case 'startHook': {
      const { kind, container, id } = intent;
      return { kind, id, hook: hookOf({ container, id, name: 'postStart' }, input) };
    }
    case 'stopContainer': {
      const { container, id, retractMsMax = 0, isForResize = false, isCut = false } = intent;
      const preStop = isCut ? undefined : hookOf({ container, id, name: 'preStop' }, input);
      return { ...intent, retractMsMax, isForResize, isCut, preStop };
    }
    case 'removeContainer': {
      const { kind, container, id } = intent;
      const paths = podPaths(pod, directories);
      return { kind, id, files: [paths.terminationMessage(container, id), paths.dueHook(id)] };
    }
    case 'removePod':
      return { kind: intent.kind, logs: podPaths(pod, directories).logs };
    case 'deleteObject': {
      const { namespace = '', name = '' } = pod.metadata ?? {};
      return { kind: intent.kind, namespace, name };
    }
    case 'prepareClaims':
      return { kind: intent.kind, pod };
    case 'removeVolumes':
    case 'unprepareClaims':
    case 'stopSandbox':
    case 'resize':
      return intent;
    default:
      return unreachable(intent);
  }
}

function volumesOf(input: RenderInput): VolumesToMount {
  return { pod: input.pod, downward: downwardOf(input), atChange: input.volumeChanges };
}

function directoriesOf({ pod, directories }: RenderInput): readonly string[] {
  const paths = podPaths(pod, directories);
  return containersOf(pod).flatMap(({ spec: { name } }) =>
    [paths.terminationMessage(name, 'any'), paths.log(name, 0)].map((file) => path.dirname(file)),
  );
}

function renderRunSandbox(
  { attempt, replaces, reading }: IntentOf<'runSandbox'> & { readonly reading: SandboxReading },
  { pod, allocated, dns, node, directories }: RenderInput,
): Action {
  if ('problem' in reading) return { kind: 'failSandbox', message: reading.problem };
  const given = withAllocation(pod, allocated);
  try {
    const { hostname } = podHostname(given, dns.clusterDomain);
    const logDirectory = podPaths(pod, directories).logs;
    const config = renderSandbox({
      pod: given,
      handler: reading.handler,
      attempt,
      hostname,
      pidsMax: node.podPidsMax,
      logDirectory,
      dns: resolvConfOf(given, dns),
      node,
    });
    return { kind: 'runSandbox', config, replaces, resources: podCgroupResources(given, undefined) };
  } catch (error) {
    return { kind: 'failSandbox', message: describeError(error) };
  }
}
