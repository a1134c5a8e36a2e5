import type { ConfigMap } from '#api/generated/objects.ts';
import type { Logger } from '#base/log.ts';
import type { Informer } from '#client/client.ts';
import { defaultFabric, parseFabric, type FabricSettings } from './settings.ts';

/** By what packets go from node to node, as it is now. */
export interface FabricChoice {
  current(): {
    readonly settings: FabricSettings;
    /** Whether the node was told so on its command line, rather than by the cluster. */
    readonly isOption: boolean;
    /** What is wrong with what the cluster says: it has no effect. */
    readonly problem?: string;
  };
  onChange(changed: () => void): Disposable;
}

/** Plain routes, for good. */
export const fixedChoice: FabricChoice = {
  current: () => ({ settings: defaultFabric, isOption: true }),
  onChange: () => ({ [Symbol.dispose]: () => undefined }),
};

/** The ConfigMap by which a cluster's fabric is set: `namespace/name`, and its only key. */
export const fabricConfigKey = 'kube-system/podwright-fabric';
export const fabricConfigField = 'fabric';

/** Of all ConfigMaps, the one that the role system:podwright:fabric lets the node's proxy read. */
export const fabricConfigSelection = {
  namespace: 'kube-system',
  fieldSelector: 'metadata.name=podwright-fabric',
};

/**
 * What the ConfigMap says, as soon as it is written; the node's own option where there is none. One that is wrong changes nothing: the nodes
 * stay as they were.
 */
export function followChoice(
  option: FabricSettings,
  configMaps: Informer<ConfigMap>,
  log: Logger,
): FabricChoice & Disposable {
  let now: ReturnType<FabricChoice['current']> = { settings: option, isOption: true };
  const listeners = new Set<() => void>();
  const watch = configMaps.onChange(({ key, current }) => {
    if (key !== fabricConfigKey) return;
    now = read(current, now, option);
    if (now.problem !== undefined)
      log.warn({ configMap: fabricConfigKey, problem: now.problem }, 'the fabric stays as it is');
    for (const changed of listeners) changed();
  });
  return {
    current: () => now,
    onChange: (changed) => {
      listeners.add(changed);
      return { [Symbol.dispose]: () => void listeners.delete(changed) };
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}

function read(
  configMap: ConfigMap | undefined,
  before: ReturnType<FabricChoice['current']>,
  option: FabricSettings,
): ReturnType<FabricChoice['current']> {
  if (configMap === undefined) return { settings: option, isOption: true };
  const text = configMap.data?.[fabricConfigField];
  const parsed = text === undefined ? { problem: `it has no ${fabricConfigField}` } : parseFabric(text);
  return 'settings' in parsed
    ? { settings: parsed.settings, isOption: false }
    : { ...before, problem: parsed.problem };
}
