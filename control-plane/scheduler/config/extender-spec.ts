import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qualifiedName } from '#api/validation/format.ts';
import { isObject, objectsOf, stringOf } from '#api/wire/json.ts';

/** A program outside that is asked about pods by HTTP (extenders[] of KubeSchedulerConfiguration). */
export interface ExtenderSpec {
  /** Without a slash at its end. */
  readonly urlPrefix: string;
  /** Paths below it; '': it is not asked that. */
  readonly filterVerb: string;
  readonly preemptVerb: string;
  readonly prioritizeVerb: string;
  readonly bindVerb: string;
  readonly weight: number;
  readonly httpTimeoutMs: number;
  /** It knows the nodes: it is told their names only. */
  readonly nodeCacheCapable: boolean;
  /** Pods are scheduled without it when it does not answer. */
  readonly ignorable: boolean;
  readonly tls: ExtenderTls | undefined;
  /** Without any, it is asked of every pod. */
  readonly managedResources: ReadonlySet<string>;
  /** Of these, which the scheduler itself does not count. */
  readonly ignoredResources: ReadonlySet<string>;
}

/** Paths of files, or base64. */
export interface ExtenderTls {
  readonly insecure: boolean;
  readonly serverName: string;
  readonly ca: Source;
  readonly cert: Source;
  readonly key: Source;
}

export interface Source {
  readonly file: string;
  readonly data: string;
}

/** Of extenders without complaints. Pure. */
export function extenderSpecs(extenders: readonly JsonObject[]): readonly ExtenderSpec[] {
  return extenders.map((extender) => {
    const text = (field: string): string => stringOf(extender[field]);
    const resources = objectsOf(extender['managedResources']);
    const names = (list: readonly JsonObject[]): ReadonlySet<string> =>
      new Set(list.map(({ name }) => stringOf(name)));
    const timeout = text('httpTimeout');
    return {
      urlPrefix: text('urlPrefix').replace(/\/+$/, ''),
      filterVerb: text('filterVerb'),
      preemptVerb: text('preemptVerb'),
      prioritizeVerb: text('prioritizeVerb'),
      bindVerb: text('bindVerb'),
      weight: typeof extender['weight'] === 'number' ? extender['weight'] : 0,
      httpTimeoutMs: (timeout === '' ? 0 : parseDurationMs(timeout)) || httpTimeoutMsByDefault,
      nodeCacheCapable: extender['nodeCacheCapable'] === true,
      ignorable: extender['ignorable'] === true,
      tls: tlsOf(extender),
      managedResources: names(resources),
      ignoredResources: names(resources.filter(({ ignoredByScheduler }) => ignoredByScheduler === true)),
    };
  });
}

/** As kube-scheduler's DefaultExtenderTimeout. */
const httpTimeoutMsByDefault = 5000;
/** A scheduler that asks more than this of each pod binds none. */
const extendersMax = 16;

/** What is wrong with them, in kube-scheduler's words. Pure. */
export function extenderErrors(extenders: readonly JsonObject[]): readonly FieldError[] {
  const seen = new Set<string>();
  const errors = extenders.flatMap((extender, index) => {
    const path = `extenders[${index}]`;
    const weight = typeof extender['weight'] === 'number' ? extender['weight'] : 0;
    return [
      ...urlErrors(stringOf(extender['urlPrefix']), `${path}.urlPrefix`),
      ...(stringOf(extender['prioritizeVerb']) !== '' && weight <= 0
        ? [invalidField(`${path}.weight`, weight, 'must have a positive weight applied to it')]
        : []),
      ...objectsOf(extender['managedResources']).flatMap(({ name }, place) => {
        const field = `${path}.managedResources[${place}].name`;
        const text = stringOf(name);
        const isSeen = seen.has(text);
        seen.add(text);
        return [
          ...resourceErrors(text, field),
          ...(isSeen ? [invalidField(field, text, 'duplicate extender managed resource name')] : []),
        ];
      }),
    ];
  });
  const binders = extenders.filter(({ bindVerb }) => stringOf(bindVerb) !== '').length;
  return [
    ...errors,
    ...(extenders.length > extendersMax
      ? [invalidField('extenders', extenders.length, `must be ${extendersMax} at most`)]
      : []),
    ...(binders > 1
      ? [
          invalidField(
            'extenders',
            `found ${binders} extenders implementing bind`,
            'only one extender can implement bind',
          ),
        ]
      : []),
  ];
}

function urlErrors(url: string, field: string): readonly FieldError[] {
  const isHttp = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  return isHttp ? [] : [invalidField(field, url, 'must be an http or https URL')];
}

function resourceErrors(name: string, field: string): readonly FieldError[] {
  const wrong = qualifiedName(name).map((detail) => invalidField(field, name, detail));
  if (wrong.length > 0) return wrong;
  const isExtended =
    name.includes('/') && !/(^|\.)kubernetes\.io\//.test(name) && !name.startsWith('requests.');
  return isExtended ? [] : [invalidField(field, name, 'is an invalid extended resource name')];
}

function tlsOf(extender: JsonObject): ExtenderTls | undefined {
  const config = extender['tlsConfig'];
  if (!isObject(config)) return extender['enableHTTPS'] === true ? tlsFrom({ insecure: true }) : undefined;
  return tlsFrom(config);
}

function tlsFrom(config: JsonObject): ExtenderTls {
  const source = (name: string): Source => ({
    file: stringOf(config[`${name}File`]),
    data: stringOf(config[`${name}Data`]),
  });
  return {
    insecure: config['insecure'] === true,
    serverName: stringOf(config['serverName']),
    ca: source('ca'),
    cert: source('cert'),
    key: source('key'),
  };
}
