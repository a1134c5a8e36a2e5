import { at, withPath } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Namespaces: they go when their content is gone, and spec.finalizers stand for that. */
export const namespaceRules: KindRules = {
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Active' }),
  prepareCreate: (namespace) => withPath(namespace, 'spec.finalizers', ['kubernetes']),
  prepareUpdate: (old, namespace) => withPath(namespace, 'spec.finalizers', at(old, 'spec.finalizers')),
};
