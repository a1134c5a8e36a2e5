/** ConfigMaps and Secrets that a container's environment refers to and that the file does not hold. Pure. */
import type { ConfigMap, Container, EphemeralContainer, Secret } from '#api/generated/objects.ts';
import { envFileKey, environmentReferences } from '#agent/kubelet/render/environment.ts';
import type { Manifest } from './read-pods.ts';

export interface ReferencedValues {
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly envFiles: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly seccompProfile: string;
  readonly assumptions: readonly string[];
}

/** Those of the file, and for the rest objects with exactly the keys asked for. */
export function referencedValues(
  container: Container | EphemeralContainer,
  namespace: string,
  manifest: Manifest,
): ReferencedValues {
  const wanted = environmentReferences(container);
  const here = <T extends ConfigMap | Secret>(objects: readonly T[]): Map<string, T> =>
    new Map(
      objects
        .filter(({ metadata }) => (metadata?.namespace ?? 'default') === namespace)
        .map((object) => [object.metadata?.name ?? '', object]),
    );
  const [configMaps, secrets] = [here(manifest.configMaps), here(manifest.secrets)];
  const assumptions: string[] = [];
  const assume = (kind: string, name: string, keys: readonly string[]): Readonly<Record<string, string>> => {
    const what = keys.length === 0 ? 'without keys' : `with ${keys.join(', ')}`;
    assumptions.push(`${kind} ${namespace}/${name} ${what}`);
    return Object.fromEntries(keys.map((key) => [key, `<${kind} ${name} ${key}>`]));
  };
  for (const name of wanted.configMaps) {
    if (configMaps.has(name)) continue;
    const refs = (container.env ?? []).map(({ valueFrom }) => valueFrom?.configMapKeyRef);
    configMaps.set(name, { data: assume('ConfigMap', name, keysOf(refs, name)) });
  }
  for (const name of wanted.secrets) {
    if (secrets.has(name)) continue;
    const refs = (container.env ?? []).map(({ valueFrom }) => valueFrom?.secretKeyRef);
    const data = Object.entries(assume('Secret', name, keysOf(refs, name)));
    secrets.set(name, {
      data: Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
    });
  }
  const envFiles = new Map<string, Map<string, string>>();
  for (const file of wanted.files) {
    const variables = envFiles.get(envFileKey(file)) ?? new Map<string, string>();
    envFiles.set(envFileKey(file), variables.set(file.key, `<file ${envFileKey(file)} ${file.key}>`));
    assumptions.push(`env file ${envFileKey(file)} with ${file.key}`);
  }
  return { configMaps, secrets, envFiles, seccompProfile: allowing, assumptions };
}

/** A profile of the node's, which is not known: what it may refuse is no step of the plan. */
const allowing = '{"defaultAction":"SCMP_ACT_ALLOW"}';

interface KeyReference {
  readonly name?: string | undefined;
  readonly key: string;
}

function keysOf(references: readonly (KeyReference | undefined)[], name: string): readonly string[] {
  const keys = references.flatMap((reference) => (reference?.name === name ? [reference.key] : []));
  return [...new Set(keys)];
}
