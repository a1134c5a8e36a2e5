import { notAcceptable } from '#api/errors/status.ts';

/** What the client wants to see. */
export interface Representation {
  readonly format: 'json' | 'yaml';
  /** The transform asked for: `Table`, `PartialObjectMetadata`, `PartialObjectMetadataList`, `APIGroupDiscoveryList`. */
  readonly as: string | undefined;
  /** The version of the transform: v1, v1beta1, v2. */
  readonly version: string;
}

const plainJson: Representation = { format: 'json', as: undefined, version: '' };
const protobuf = 'application/vnd.kubernetes.protobuf';

/**
 * The first clause of Accept that we serve, by q and then in the client's order. Protobuf is asked for beside JSON by every
 * client and decoded by the response's Content-Type: JSON is the answer to it. `transforms` as in `Table.v1.meta.k8s.io`.
 * @throws {E_API} 406 when there is none
 */
export function negotiate(accept: string | undefined, transforms: readonly string[]): Representation {
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json')
    return plainJson;
  const clauses = accept.split(',').map(parseClause);
  const byQuality = clauses.toSorted((a, b) => b.quality - a.quality);
  for (const { mediaType, parameters } of byQuality) {
    const format = formatOf(mediaType);
    const as = parameters.get('as');
    if (format === undefined) continue;
    if (as === undefined) return { format, as, version: '' };
    const [version = '', group = ''] = ['v', 'g'].map((name) => parameters.get(name));
    if (transforms.includes(`${as}.${version}.${group}`)) return { format, as, version };
  }
  if (clauses.some((clause) => clause.mediaType === protobuf && !clause.parameters.has('as')))
    return plainJson;
  throw notAcceptable();
}

function formatOf(mediaType: string): 'json' | 'yaml' | undefined {
  switch (mediaType) {
    case 'application/json':
    case 'application/*':
    case '*/*':
      return 'json';
    case 'application/yaml':
      return 'yaml';
    default:
      return undefined;
  }
}

function parseClause(clause: string): {
  readonly mediaType: string;
  readonly quality: number;
  readonly parameters: ReadonlyMap<string, string>;
} {
  const [mediaType = '', ...rest] = clause.split(';').map((part) => part.trim());
  const parameters = new Map(
    rest.map((part): [string, string] => {
      const [name = '', value = ''] = part.split('=', 2);
      return [name.trim().toLowerCase(), value.trim()];
    }),
  );
  const quality = Number(parameters.get('q') ?? '1');
  return { mediaType: mediaType.toLowerCase(), quality: Number.isFinite(quality) ? quality : 1, parameters };
}
