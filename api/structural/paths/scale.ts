import type { FieldError } from '#api/errors/field-error.ts';
import { invalidField } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, stringOf, withPath } from '#api/wire/json.ts';

/** Where the scale of a custom kind is kept. */
export interface ScalePaths {
  /** `.spec.replicas` */
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string | undefined;
}

/** The `scale` of a version's subresources; undefined: its objects have none. */
export function scalePathsOf(subresources: unknown): ScalePaths | undefined {
  const scale = at(subresources, 'scale');
  if (!isObject(scale)) return undefined;
  return {
    specReplicasPath: stringOf(scale['specReplicasPath']),
    statusReplicasPath: stringOf(scale['statusReplicasPath']),
    labelSelectorPath: stringOf(scale['labelSelectorPath']) || undefined,
  };
}

/** What a Scale says of an object. `replicas` is undefined where the object does not say it. */
export interface CustomScale {
  readonly replicas: number | undefined;
  readonly statusReplicas: number;
  readonly selector: string | undefined;
}

/** Reads the scale of an object. */
export function scaleOf(paths: ScalePaths, object: JsonObject): CustomScale {
  const replicas = numberAt(object, paths.specReplicasPath);
  const selector =
    paths.labelSelectorPath === undefined ? undefined : at(object, partsOf(paths.labelSelectorPath));
  return {
    replicas,
    statusReplicas: numberAt(object, paths.statusReplicasPath) ?? 0,
    selector: typeof selector === 'string' ? selector : undefined,
  };
}

/** The object scaled to a number of replicas. */
export function withScale(paths: ScalePaths, object: JsonObject, replicas: number): JsonObject {
  return withPath(object, partsOf(paths.specReplicasPath), replicas);
}

/** Complaints about the numbers that an object has where its scale is (customresource validator, ValidateScaleSpec and Status). */
export function scaleErrors(paths: ScalePaths, object: JsonObject): readonly FieldError[] {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = paths;
  const selector = labelSelectorPath === undefined ? undefined : at(object, partsOf(labelSelectorPath));
  return [
    ...countErrors(specReplicasPath, numberAt(object, specReplicasPath)),
    ...countErrors(statusReplicasPath, numberAt(object, statusReplicasPath)),
    ...(labelSelectorPath === undefined || selector === undefined || typeof selector === 'string'
      ? []
      : [invalidField(labelSelectorPath, selector, 'should be a string')]),
  ];
}

const int32Max = 2_147_483_647;

function countErrors(path: string, count: number | undefined): readonly FieldError[] {
  if (count === undefined || (count >= 0 && count <= int32Max)) return [];
  const detail =
    count < 0 ? 'should be a non-negative integer' : `should be less than or equal to ${int32Max}`;
  return [invalidField(path, count, detail)];
}

function numberAt(object: JsonObject, path: string): number | undefined {
  const value = at(object, partsOf(path));
  return typeof value === 'number' ? value : undefined;
}

/** These paths are plain: names between dots. */
function partsOf(path: string): readonly string[] {
  return path.replace(/^\./, '').split('.');
}
