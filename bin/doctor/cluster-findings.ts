import type { ApiClient } from '#client/client.ts';
import { at, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { builtInVersions } from '#api/schema/served-version.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { labelSelectorFromMap, matchesLabels } from '#api/meta/selector.ts';
import { matchesRule } from '#control-plane/apiserver/chain/admission/match/request-rule.ts';
import { matchConstraintsOf } from '#control-plane/apiserver/chain/admission/match/match-constraints.ts';
import type { Finding } from './finding.ts';

/** What the checks of a cluster look at. */
export interface ClusterFacts {
  /** Of both sorts. */
  readonly configurations: readonly JsonObject[];
  readonly namespaces: readonly JsonObject[];
  readonly services: readonly JsonObject[];
  readonly pods: readonly JsonObject[];
}

/** Pure: hooks that must be asked before the pods can be made that answer for them, so that nothing brings them back when all are gone. */
export function examineWebhooks(facts: ClusterFacts): readonly Finding[] {
  const guarded = facts.configurations.flatMap((configuration) =>
    objectsOf(configuration['webhooks'])
      .filter((hook) => guardsItself(hook, facts))
      .map((hook): Finding => {
        const { namespace, name } = stringMapOf(at(hook, 'clientConfig.service'));
        return {
          what: 'webhooks',
          state: 'limited',
          detail: `${stringOf(hook['name'])} of ${stringOf(at(configuration, 'metadata.name'))} must be asked about pods of its own Service ${namespace}/${name}: when none of them runs, none can be made`,
          remedy: `leave namespace ${namespace} out by the webhook's namespaceSelector, or give it failurePolicy Ignore`,
        };
      }),
  );
  return guarded.length > 0
    ? guarded
    : [{ what: 'webhooks', state: 'ok', detail: 'none guards its own pods', remedy: '' }];
}

const podKind = builtInVersions
  .find(({ group, version }) => group === '' && version === 'v1')
  ?.byResource.get('pods');

function guardsItself(hook: JsonObject, { namespaces, services, pods }: ClusterFacts): boolean {
  const { namespace, name } = stringMapOf(at(hook, 'clientConfig.service'));
  if (namespace === undefined || hook['failurePolicy'] === 'Ignore' || podKind === undefined) return false;
  const { rules, namespaceSelector, objectSelector } = matchConstraintsOf(hook);
  const kind = podKind;
  const isAsked = rules.some((rule) => matchesRule(rule, { operation: 'create', kind, subresource: '' }));
  const own = namespaces.find((each) => at(each, 'metadata.name') === namespace);
  if (!isAsked || !matchesLabels(namespaceSelector, labelsOf(own))) return false;
  const isIn = (object: JsonObject): boolean => at(object, 'metadata.namespace') === namespace;
  const service = services.find((each) => isIn(each) && at(each, 'metadata.name') === name);
  const selector = labelSelectorFromMap(stringMapOf(at(service, 'spec.selector')));
  const backends = pods.filter((pod) => isIn(pod) && matchesLabels(selector, labelsOf(pod)));
  // Without any pod to look at, one that selects by labels of objects may leave them out.
  if (backends.length === 0) return objectSelector.requirements.length === 0;
  return backends.some((pod) => matchesLabels(objectSelector, labelsOf(pod)));
}

function labelsOf(object: JsonObject | undefined): Readonly<Record<string, string>> {
  return stringMapOf(at(object, 'metadata.labels'));
}

const registration = '/apis/admissionregistration.k8s.io/v1';

/** Asks a cluster; changes nothing. @throws {E_API, E_CONNECTION} */
export async function gatherClusterFacts(client: ApiClient): Promise<ClusterFacts> {
  const items = async (path: string): Promise<readonly JsonObject[]> => {
    const { body } = await client.raw('GET', path);
    return objectsOf(at(JSON.parse(body), 'items'));
  };
  return {
    configurations: [
      ...(await items(`${registration}/mutatingwebhookconfigurations`)),
      ...(await items(`${registration}/validatingwebhookconfigurations`)),
    ],
    namespaces: await items('/api/v1/namespaces'),
    services: await items('/api/v1/services'),
    pods: await items('/api/v1/pods'),
  };
}
