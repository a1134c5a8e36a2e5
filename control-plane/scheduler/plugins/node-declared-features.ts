import type { Pod } from '#api/generated/objects.ts';
import { changesOf } from '#control-plane/scheduler/cluster-event.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

const mismatch = "node(s) didn't match Pod's required features";

/** What nodes say that they can do (status.declaredFeatures), and which pods need it. Source: component-helpers nodedeclaredfeatures 1.36. */
const features: readonly { readonly name: string; readonly isNeededBy: (pod: Pod) => boolean }[] = [
  {
    name: 'RestartAllContainersOnContainerExits',
    isNeededBy: ({ spec }) =>
      [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].some(
        ({ restartPolicyRules }) =>
          restartPolicyRules?.some(({ action }) => action === 'RestartAllContainers') === true,
      ),
  },
];

/** A pod goes where all is that it needs of nodes of some versions only. */
export const nodeDeclaredFeaturesFilter: FilterPlugin = {
  name: 'NodeDeclaredFeatures',
  isSteady: true,
  filter: ({ pod }) => {
    const needed = features.filter(({ isNeededBy }) => isNeededBy(pod)).map(({ name }) => name);
    if (needed.length === 0) return undefined;
    return ({ node: { status } }) =>
      needed.every((name) => status?.declaredFeatures?.includes(name) === true) ? passes : [mismatch];
  },
  mayHelp: (_pod, event) =>
    event.kind === 'node' && changesOf(event, ({ status }) => status?.declaredFeatures),
};
