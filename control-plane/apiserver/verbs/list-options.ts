import { forbiddenField, notSupportedField } from '#api/errors/field-error.ts';
import { checkFieldSelector, parseFieldSelector, type FieldMatcher } from '#api/meta/field-selector.ts';
import { parseLabelSelector, type LabelMatcher } from '#api/meta/selector.ts';
import { queryBoolean } from '#api/wire/query.ts';
import { badRequest, invalidOptions, statusError } from '#api/errors/status.ts';
import { integerOf } from './query.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';

/** What a list or watch asks for. */
export interface ListOptions {
  readonly labels: LabelMatcher;
  readonly fields: FieldMatcher;
  /** Whether there is anything to select by. */
  readonly hasSelector: boolean;
  /** The one name asked for, by fieldSelector or path; '' for any. */
  readonly name: string;
  readonly limit: number;
  readonly continue: string;
  /** As given; '' when absent. */
  readonly resourceVersion: string;
  readonly match: string;
  readonly timeoutSeconds: number;
  readonly allowBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

/** @throws {E_API} 400 or 422 with the texts of kube-apiserver */
export function parseListOptions(route: ResourceRoute, query: URLSearchParams): ListOptions {
  const isWatch = route.verb === 'watch';
  const fields = [
    ...parseFieldSelector(query.get('fieldSelector') ?? ''),
    // The legacy watch path of one object, and anything else that names one.
    ...(route.name === '' ? [] : [{ field: 'metadata.name', equal: true, value: route.name }]),
  ];
  checkFieldSelector(route.kind, fields);
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const named = fields.find(({ field, equal }) => field === 'metadata.name' && equal);
  const options: ListOptions = {
    labels,
    fields,
    hasSelector: fields.length > 0 || labels.requirements.length > 0,
    name: named?.value ?? '',
    limit: countOf(query, 'limit'),
    continue: query.get('continue') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    match: query.get('resourceVersionMatch') ?? '',
    timeoutSeconds: countOf(query, 'timeoutSeconds'),
    allowBookmarks: queryBoolean(query, 'allowWatchBookmarks') === true,
    sendInitialEvents: queryBoolean(query, 'sendInitialEvents'),
  };
  checkCombination(options, isWatch);
  return options;
}

const matches = ['Exact', 'NotOlderThan'];

function checkCombination(options: ListOptions, isWatch: boolean): void {
  const refuse = (field: string, detail: string): never => {
    throw invalidOptions('ListOptions', [forbiddenField(field, detail)]);
  };
  if (options.sendInitialEvents !== undefined) {
    if (!isWatch) refuse('sendInitialEvents', 'sendInitialEvents is forbidden for list');
    if (options.match !== 'NotOlderThan') {
      refuse(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      );
    }
  } else if (options.match !== '') {
    if (isWatch) refuse('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch');
    if (options.resourceVersion === '') {
      refuse('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
    }
    if (!matches.includes(options.match)) {
      throw invalidOptions('ListOptions', [
        notSupportedField('resourceVersionMatch', options.match, [...matches, '']),
      ]);
    }
    if (options.match === 'Exact' && options.resourceVersion === '0') {
      refuse('resourceVersionMatch', 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"');
    }
    if (options.continue !== '') {
      refuse('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
    }
  }
  const isAny = options.resourceVersion === '' || options.resourceVersion === '0';
  // The token says of which revision its pages are.
  if (!isWatch && options.continue !== '' && !isAny)
    throw badRequest('specifying resource version is not allowed when using continue');
}

/** @returns undefined for '' @throws {E_API} when it is no revision */
export function parseResourceVersion(text: string, isWatch: boolean): number | undefined {
  if (text === '') return undefined;
  const revision = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (!Number.isNaN(revision)) return revision;
  const cause = `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  throw isWatch ? statusError(500, '', cause) : badRequest(`invalid resource version: ${cause}`);
}

/** None, and one below it, is no bound. */
function countOf(query: URLSearchParams, name: string): number {
  return Math.max(0, integerOf(query, name) ?? 0);
}
