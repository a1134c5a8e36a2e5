/** RuntimeService of the runtime itself. */
import { parseCidr } from '#base/ip.ts';
import { describeError } from '#base/errors.ts';
import { refusal } from '#proto/status.ts';
import type { CriContext, RuntimeHandlers } from './context.ts';

/** Of the API that CRI's Version has been since its beginning (pkg/kubelet/cri/remote/utils). */
const kubeApiVersion = '0.1.0';

export function nodeHandlers(context: CriContext, apiVersion: string): RuntimeHandlers {
  const { network, version, events } = context;
  return {
    Version: () => ({
      version: kubeApiVersion,
      runtime_name: 'podwright',
      runtime_version: version,
      runtime_api_version: apiVersion,
    }),
    Status: async ({ verbose }) => {
      const { isReady, reason } = await network.status().catch((error: unknown) => ({
        isReady: false,
        reason: describeError(error),
      }));
      return {
        status: {
          conditions: [
            { type: 'RuntimeReady', status: true },
            {
              type: 'NetworkReady',
              status: isReady,
              ...(isReady ? {} : { reason: 'NetworkPluginNotReady', message: reason }),
            },
          ],
        },
        runtime_handlers: [...context.runtime.handlers].map(([name, own]) => ({
          name,
          features: {
            recursive_read_only_mounts: own.recursiveReadOnlyMounts,
            user_namespaces: own.userNamespaces && context.userNamespaceProblem === undefined,
          },
        })),
        features: { supplemental_groups_policy: true, user_namespaces_host_network: false },
        ...(verbose ? { info: { config: JSON.stringify(verboseInfo(context)) } } : {}),
      };
    },
    RuntimeConfig: () => ({ linux: { cgroup_driver: 'CGROUPFS' } }),
    UpdateRuntimeConfig: async ({ runtime_config: config }) => {
      const text = config?.network_config?.pod_cidr ?? '';
      if (text !== '') await setPodCidrs(context, text.split(','));
      return {};
    },
    GetContainerEvents: (_request, { signal }) => events.follow(signal),
    // With kernels that cannot dump a process for us, this is what others answer without CRIU.
    CheckpointContainer: ({ container_id: id }) => {
      throw refusal('UNIMPLEMENTED', `checkpoint container ${id}: this runtime makes no checkpoints`);
    },
  };
}

function verboseInfo({ version, cgroupDefault, dataDirectory, runDirectory, runtime }: CriContext): object {
  return { version, cgroupDefault, dataDirectory, runDirectory, pods: runtime.observeAll().length };
}

async function setPodCidrs({ setPodCidrs: set, log }: CriContext, cidrs: readonly string[]): Promise<void> {
  for (const cidr of cidrs)
    if (parseCidr(cidr) === undefined)
      throw refusal('INVALID_ARGUMENT', `pod_cidr ${JSON.stringify(cidr)}: no network`);
  if (set === undefined)
    log.info({ cidrs }, 'pod_cidr is not used: the pod network is configured by its own files');
  else await set(cidrs);
}
