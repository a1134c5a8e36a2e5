import { at, stringMapOf, stringOf } from '#api/wire/json.ts';
import { mirrorKind, type MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';

type Labels = Readonly<Record<string, string>>;

const namespaces = builtIn('', 'v1', 'namespaces');

/** The labels of all namespaces, as they are stored now. */
export interface NamespaceLabels {
  /** undefined: no such namespace is known. */
  labelsOf(name: string): Labels | undefined;
}

/** Of no namespace anything: for who has none. */
export const noNamespaceLabels: NamespaceLabels = { labelsOf: () => undefined };

/** Follows the labels of namespaces: a change is known before who made it is answered (embedded engine). */
export async function keepNamespaceLabels(
  parts: MirrorParts,
): Promise<{ readonly namespaces: NamespaceLabels } & Disposable> {
  const byKey = new Map<string, { readonly name: string; readonly labels: Labels }>();
  const byName = new Map<string, Labels>();
  const mirror = await mirrorKind(parts, namespaces, {
    put: ({ key, object }) => {
      const name = stringOf(at(object, 'metadata.name'));
      const labels = stringMapOf(at(object, 'metadata.labels'));
      byKey.set(key, { name, labels });
      byName.set(name, labels);
    },
    remove: (key) => {
      const known = byKey.get(key);
      byKey.delete(key);
      if (known !== undefined) byName.delete(known.name);
    },
  });
  return {
    namespaces: { labelsOf: (name) => byName.get(name) },
    [Symbol.dispose]: () => mirror[Symbol.dispose](),
  };
}
