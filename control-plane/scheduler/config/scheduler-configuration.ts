/** KubeSchedulerConfiguration as upstream's kube-scheduler reads it (--config). */
import {
  checkConfigDocument,
  readConfigFile,
  type DocumentKind,
  type ObjectShape,
} from '#api/config/config-document.ts';
import { fieldsWithoutEffect } from '#api/config/field-effects.ts';
import {
  duplicateField,
  invalidField,
  renderFieldError,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, objectsOf } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { extenderErrors, extenderSpecs, type ExtenderSpec } from './extender-spec.ts';
import { argShapes, pluginArgErrors, pluginArgs, type PluginArgs } from './plugin-args.ts';
import { points, removedPlugins } from './plugin-points.ts';
import { enabledPlugins, type EnabledPlugins } from './plugin-sets.ts';
import { schedulerFields } from './scheduler-fields.ts';

/** How the pods of one schedulerName are scheduled. */
export interface ProfileSettings {
  readonly schedulerName: string;
  /** 0: by the number of nodes. */
  readonly percentageOfNodesToScore: number;
  readonly plugins: EnabledPlugins;
  readonly args: PluginArgs;
}

export interface SchedulerSettings {
  /** One at least, each of a name of its own. */
  readonly profiles: readonly ProfileSettings[];
  readonly podInitialBackoffMs: number;
  readonly podMaxBackoffMs: number;
  readonly extenders: readonly ExtenderSpec[];
}

export interface ReadSchedulerConfiguration {
  readonly settings: SchedulerSettings;
  /** What of it has no effect. */
  readonly notices: readonly string[];
}

export const defaultSchedulerName = 'default-scheduler';
const apiVersion = 'kubescheduler.config.k8s.io/v1';

const documentKind: DocumentKind = {
  kind: 'KubeSchedulerConfiguration',
  apiVersions: [apiVersion],
  fields: Object.fromEntries(Object.entries(schedulerFields).map(([name, { shape }]) => [name, shape])),
};

/** Without a file, what is so by default. @throws {E_INVALID} with the path and all that is wrong */
export function readSchedulerConfiguration(path: string | undefined): ReadSchedulerConfiguration {
  const read = (configuration: JsonObject): ReadSchedulerConfiguration => ({
    settings: schedulerSettings(configuration),
    notices: schedulerWithoutEffect(configuration),
  });
  return path === undefined ? read({}) : readConfigFile(path, documentKind, read);
}

/** Pure. @throws {E_INVALID} with all that is wrong, in kube-scheduler's words */
export function schedulerSettings(configuration: JsonObject): SchedulerSettings {
  const errors = [...configurationErrors(configuration), ...profileErrors(profilesOf(configuration))];
  if (errors.length > 0)
    throw invalid(errors.map((error) => `${error.field}: ${renderFieldError(error)}`).join('; '));
  const percentage = numberOf(configuration['percentageOfNodesToScore'], 0);
  return {
    profiles: profilesOf(configuration).map((profile) => profileSettings(profile, percentage)),
    podInitialBackoffMs: numberOf(configuration['podInitialBackoffSeconds'], 1) * 1000,
    podMaxBackoffMs: numberOf(configuration['podMaxBackoffSeconds'], 10) * 1000,
    extenders: extenderSpecs(objectsOf(configuration['extenders'])),
  };
}

/** Each with its field, what it says and why. Pure. */
export function schedulerWithoutEffect(configuration: JsonObject): readonly string[] {
  return [
    ...fieldsWithoutEffect(configuration, schedulerFields),
    ...profilesOf(configuration).flatMap((profile, index) => profileNotices(profile, `profiles[${index}]`)),
  ];
}

function profileSettings(profile: JsonObject, percentage: number): ProfileSettings {
  const schedulerName = nameOf(profile);
  try {
    return {
      schedulerName,
      percentageOfNodesToScore: numberOf(profile['percentageOfNodesToScore'], percentage),
      plugins: enabledPlugins(profile['plugins'], schedulerName),
      args: pluginArgs(argsOf(profile)),
    };
  } catch (error) {
    throw invalid(
      `initializing profiles: creating profile for scheduler name ${schedulerName}: ${describeError(error)}`,
    );
  }
}

function profilesOf(configuration: JsonObject): readonly JsonObject[] {
  const profiles = objectsOf(configuration['profiles']);
  return profiles.length === 0 ? [{}] : profiles;
}

/** One profile alone may leave its name out. */
function nameOf({ schedulerName }: JsonObject): string {
  return typeof schedulerName === 'string' && schedulerName !== '' ? schedulerName : defaultSchedulerName;
}

function configurationErrors(configuration: JsonObject): readonly FieldError[] {
  const parallelism = numberOf(configuration['parallelism'], 16);
  const initial = numberOf(configuration['podInitialBackoffSeconds'], 1);
  const most = numberOf(configuration['podMaxBackoffSeconds'], 10);
  return [
    ...lockErrors(configuration['leaderElection']),
    ...(parallelism > 0
      ? []
      : [invalidField('parallelism', parallelism, 'should be an integer value greater than zero')]),
    ...percentageErrors(configuration, ''),
    ...(initial > 0 ? [] : [invalidField('podInitialBackoffSeconds', initial, 'must be greater than 0')]),
    ...(most >= initial
      ? []
      : [
          invalidField(
            'podMaxBackoffSeconds',
            most,
            'must be greater than or equal to PodInitialBackoffSeconds',
          ),
        ]),
    ...extenderErrors(objectsOf(configuration['extenders'])),
  ];
}

function lockErrors(election: unknown): readonly FieldError[] {
  if (!isObject(election) || election['leaderElect'] === false) return [];
  const { resourceLock = 'leases' } = election;
  return resourceLock === 'leases'
    ? []
    : [invalidField('leaderElection.resourceLock', resourceLock, 'resourceLock value must be "leases"')];
}

function percentageErrors(
  { percentageOfNodesToScore: value }: JsonObject,
  path: string,
): readonly FieldError[] {
  const percentage = numberOf(value, 0);
  return percentage >= 0 && percentage <= 100
    ? []
    : [invalidField(`${path}percentageOfNodesToScore`, percentage, 'not in valid range [0-100]')];
}

function profileErrors(profiles: readonly JsonObject[]): readonly FieldError[] {
  const seen = new Map<string, number>();
  return profiles.flatMap((profile, index) => {
    const path = `profiles[${index}]`;
    const name = profiles.length === 1 ? nameOf(profile) : String(profile['schedulerName'] ?? '');
    const same = seen.get(name);
    seen.set(name, index);
    return [
      ...(name === '' ? [requiredField(`${path}.schedulerName`)] : []),
      ...percentageErrors(profile, `${path}.`),
      ...removedErrors(profile['plugins'], path),
      ...argErrors(profile, path),
      ...(same === undefined
        ? []
        : [duplicateField(`${path}.schedulerName`, `profiles[${same}].schedulerName`)]),
    ];
  });
}

const wasInvalid = `was invalid in version "v1" (KubeSchedulerConfiguration is version "${apiVersion}")`;

function removedErrors(plugins: unknown, path: string): readonly FieldError[] {
  if (!isObject(plugins)) return [];
  return points.flatMap((point) => {
    const set = plugins[point];
    return (isObject(set) ? objectsOf(set['enabled']) : []).flatMap(({ name }, index) =>
      typeof name === 'string' && removedPlugins.has(name)
        ? [invalidField(`${path}.plugins.${point}.enabled[${index}]`, name, wasInvalid)]
        : [],
    );
  });
}

function argErrors(profile: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<unknown>();
  return objectsOf(profile['pluginConfig']).flatMap((config, index) => {
    const place = `${path}.pluginConfig[${index}]`;
    const { name = '', args } = config;
    const isSeen = seen.has(name);
    seen.add(name);
    if (isSeen) return [duplicateField(place, name)];
    if (typeof name !== 'string') return [];
    if (removedPlugins.has(name)) return [invalidField(place, name, wasInvalid)];
    const shape = Object.hasOwn(argShapes, name) ? argShapes[name] : undefined;
    if (shape === undefined || !isObject(args)) return [];
    return [...shapeErrors({ name, args, shape }, place), ...pluginArgErrors(name, args, `${place}.args`)];
  });
}

/** Strictly, too. Kind and version may be left out, as kube-scheduler lets them. */
function shapeErrors(
  { name, args, shape }: { readonly name: string; readonly args: JsonObject; readonly shape: ObjectShape },
  place: string,
): readonly FieldError[] {
  const kind = `${name}Args`;
  const whole = { apiVersion, kind, ...args };
  try {
    checkConfigDocument(whole, { kind, apiVersions: [apiVersion], fields: shape });
    return [];
  } catch (error) {
    return [invalidField(`${place}.args`, args, `decoding args for plugin ${name}: ${describeError(error)}`)];
  }
}

function argsOf(profile: JsonObject): Readonly<Record<string, JsonObject>> {
  return Object.fromEntries(
    objectsOf(profile['pluginConfig']).flatMap(({ name, args }) =>
      typeof name === 'string' && isObject(args) ? [[name, args] as const] : [],
    ),
  );
}

/** What of a profile is accepted and changes nothing. */
function profileNotices(profile: JsonObject, path: string): readonly string[] {
  const ofConfig = objectsOf(profile['pluginConfig']).flatMap(({ name, args }, index) => {
    const place = `${path}.pluginConfig[${index}]`;
    if (typeof name === 'string' && !Object.hasOwn(argShapes, name))
      return [`${place}: ${name} has no effect: the plugin takes no arguments`];
    const timeout = name === 'DynamicResources' && isObject(args) ? args['filterTimeout'] : undefined;
    return typeof timeout === 'string' && parseDurationMs(timeout) !== 10_000
      ? [`${place}.args.filterTimeout: ${timeout} has no effect: a search ends after 50000 steps`]
      : [];
  });
  const plugins = isObject(profile['plugins']) ? profile['plugins'] : {};
  const together: readonly (readonly [string, string])[] = [
    ['preScore', 'what is worked out for scores belongs to score'],
    ['reserve', 'what a filter chose is always taken'],
    ['preBind', 'what a filter chose is always bound'],
  ];
  const ofPoints = together.flatMap(([point, why]) => {
    const set = plugins[point];
    return isObject(set) && (objectsOf(set['disabled']).length > 0 || objectsOf(set['enabled']).length > 0)
      ? [`${path}.plugins.${point} has no effect: ${why}`]
      : [];
  });
  return [...ofConfig, ...ofPoints];
}

function numberOf(value: unknown, byDefault: number): number {
  return typeof value === 'number' ? value : byDefault;
}

function invalid(message: string): PodwrightError {
  return new PodwrightError('E_INVALID', message);
}
