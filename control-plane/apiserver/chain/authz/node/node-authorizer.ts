import type { PolicyRule } from '#api/generated/objects.ts';
import type {
  Attributes,
  Authorizer,
  Decision,
  ResourceAttributes,
} from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { nothing } from '#control-plane/apiserver/chain/authz/privileged.ts';
import { allows } from '#control-plane/apiserver/chain/authz/rbac/policy-rule.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { volumeNodeLabel } from '#api/volume/local-volumes.ts';
import type { NodeGraph } from './node-graph.ts';

const leaseNamespace = 'kube-node-lease';
/** As whom an agent's proxy, DNS and routes ask. */
const proxyUser = 'system:kube-proxy';
const unlisted = 'node authorizer does not support user rule resolution';
const allowed: Decision = { decision: 'allow', reason: '' };

/** What a node asks for, where the answer depends on the node. */
interface Asked {
  readonly node: string;
  readonly attributes: ResourceAttributes;
  readonly graph: NodeGraph;
}

/** Which node a user is, by name and group; undefined for everybody else (pkg/auth/nodeidentifier). */
export function nodeNameOf({ name, groups }: User): string | undefined {
  const prefix = 'system:node:';
  return name.startsWith(prefix) && groups.includes('system:nodes') ? name.slice(prefix.length) : undefined;
}

/**
 * Allows a node what its pods need, and its own objects (plugin/pkg/auth/authorizer/node); what does not depend on the node, by the rules
 * that all nodes have. What a node writes is looked at by the plugin NodeRestriction besides.
 */
export function nodeAuthorizer(graph: NodeGraph, rules: readonly PolicyRule[]): Authorizer {
  return {
    name: 'Node',
    decide: (attributes) => {
      const node = nodeNameOf(attributes.user);
      if (asksWhichCluster(attributes) && (node !== undefined || attributes.user.name === proxyUser))
        return allowed;
      if (node === undefined) return noOpinion('');
      if (node === '') return noOpinion(`unknown node for user ${JSON.stringify(attributes.user.name)}`);
      if (attributes.kind === 'resource') {
        const { group, resource } = attributes;
        const decide = particular[group === '' ? resource : `${resource}.${group}`];
        if (decide !== undefined) return decide({ node, attributes, graph });
      }
      return rules.some((rule) => allows(rule, attributes)) ? allowed : noOpinion('');
    },
    rulesOf: (user) =>
      nodeNameOf(user) === undefined && user.name !== proxyUser
        ? nothing
        : { ...nothing, incomplete: true, evaluationError: unlisted },
  };
}

/**
 * Whether it is the uid of kube-system that is asked for, by which an agent knows its cluster before it acts on anything that a server says
 * (agent/node/cluster-guard.ts). Upstream's kubelets do not ask; a role of ours for it would be an object that no other cluster has.
 */
function asksWhichCluster(attributes: Attributes): boolean {
  if (attributes.kind === 'path') return false;
  const { verb, group, resource, subresource, name } = attributes;
  return (
    verb === 'get' &&
    group === '' &&
    resource === 'namespaces' &&
    subresource === '' &&
    name === 'kube-system'
  );
}

function noOpinion(reason: string): Decision {
  return { decision: 'noOpinion', reason };
}

/** By kind, who may do what depends on the node. */
const particular: Readonly<Record<string, (asked: Asked) => Decision>> = {
  secrets: readRelated,
  configmaps: readRelated,
  persistentvolumeclaims: (asked) =>
    asked.attributes.subresource === 'status' ? updateStatus(asked) : getRelated(asked),
  persistentvolumes: decideVolume,
  'resourceclaims.resource.k8s.io': getRelated,
  'volumeattachments.storage.k8s.io': getRelated,
  serviceaccounts: decideAccount,
  'leases.coordination.k8s.io': decideLease,
  'csinodes.storage.k8s.io': decideCsiNode,
  'resourceslices.resource.k8s.io': decideSlice,
  'podcertificaterequests.certificates.k8s.io': decidePodCertificate,
  'clustertrustbundles.certificates.k8s.io': readBundle,
  nodes: decideNode,
  pods: decidePod,
};

function related({ node, attributes: { resource, namespace, name }, graph }: Asked): Decision {
  if (name === '') return noOpinion('No Object name found');
  return graph.concerns(node, resource, namespace, name)
    ? allowed
    : noOpinion(`no relationship found between node '${node}' and this object`);
}

function readRelated(asked: Asked): Decision {
  const { verb, subresource, namespace } = asked.attributes;
  if (!['get', 'list', 'watch'].includes(verb)) return noOpinion('can only read resources of this type');
  if (subresource !== '') return noOpinion('cannot read subresource');
  if (namespace === '') return noOpinion('can only read namespaced object of this type');
  return related(asked);
}

/** Whoever is in the cluster may read them, as pods mount them (upstream by a rule of system:node, where the feature is on). */
function readBundle({ attributes: { verb, subresource } }: Asked): Decision {
  const isRead = ['get', 'list', 'watch'].includes(verb) && subresource === '';
  return isRead ? allowed : noOpinion('');
}

function getRelated(asked: Asked): Decision {
  const { verb, subresource } = asked.attributes;
  if (verb !== 'get') return noOpinion('can only get individual resources of this type');
  return subresource === '' ? related(asked) : noOpinion('cannot get subresource');
}

/**
 * Upstream's nodes get single volumes of their pods. Ours also watch those that they made themselves, by the label that says so, and
 * take a finalizer off them, which NodeRestriction looks at (decision 0090).
 */
function decideVolume(asked: Asked): Decision {
  const { node, graph, attributes } = asked;
  const { verb, subresource, name, labelSelector } = attributes;
  if (subresource === '' && (verb === 'list' || verb === 'watch')) {
    const isOwn = labelSelector?.requirements.some(
      ({ key, operator, values }) =>
        key === volumeNodeLabel && operator === 'In' && values.length === 1 && values[0] === node,
    );
    if (isOwn === true) return allowed;
  }
  if (subresource === '' && (verb === 'get' || verb === 'update') && graph.hasMade(node, name))
    return allowed;
  return getRelated(asked);
}

function updateStatus(asked: Asked): Decision {
  const isUpdate = ['update', 'patch'].includes(asked.attributes.verb);
  return isUpdate ? related(asked) : noOpinion('can only get/update/patch this type');
}

function decideAccount(asked: Asked): Decision {
  const { verb, name, subresource } = asked.attributes;
  if (verb === 'get' && subresource === '') return related(asked);
  if (verb !== 'create' || name === '') {
    return noOpinion('can only create tokens for individual service accounts');
  }
  return subresource === 'token'
    ? related(asked)
    : noOpinion('can only create token subresource of serviceaccount');
}

const ownVerbs: readonly string[] = ['get', 'create', 'update', 'patch', 'delete'];

function decideLease({ node, attributes: { verb, namespace, name } }: Asked): Decision {
  if (!ownVerbs.includes(verb)) {
    return noOpinion('can only get, create, update, patch, or delete a node lease');
  }
  if (namespace !== leaseNamespace) {
    return noOpinion(`can only access leases in the ${JSON.stringify(leaseNamespace)} system namespace`);
  }
  // Of what is created the name is not known here.
  return verb === 'create' || name === node
    ? allowed
    : noOpinion('can only access node lease with the same name as the requesting node');
}

function decideCsiNode({ node, attributes: { verb, subresource, name } }: Asked): Decision {
  if (!ownVerbs.includes(verb)) {
    return noOpinion('can only get, create, update, patch, or delete a CSINode');
  }
  if (subresource !== '') return noOpinion('cannot authorize CSINode subresources');
  return verb === 'create' || name === node
    ? allowed
    : noOpinion('can only access CSINode with the same name as the requesting node');
}

function decideSlice(asked: Asked): Decision {
  const { verb, subresource } = asked.attributes;
  if (subresource !== '') return noOpinion('cannot authorize ResourceSlice subresources');
  if (verb === 'create') return allowed;
  if (['get', 'update', 'patch', 'delete'].includes(verb)) return related(asked);
  if (!['watch', 'list', 'deletecollection'].includes(verb)) {
    return noOpinion(
      'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
    );
  }
  return selectsOwn(asked, 'spec.nodeName') || selectsOwn(asked, 'nodeName')
    ? allowed
    : noOpinion('can only list/watch/deletecollection resourceslices with nodeName field selector');
}

/** What is made is looked at by NodeRestriction; what a signer writes is no node's. */
function decidePodCertificate(asked: Asked): Decision {
  const { verb, subresource } = asked.attributes;
  if (subresource !== '') return noOpinion('cannot authorize PodCertificateRequest subresources');
  if (verb === 'create') return allowed;
  if (verb === 'get') return related(asked);
  if (verb !== 'list' && verb !== 'watch')
    return noOpinion(
      'only the following verbs are allowed for a PodCertificateRequest: get, watch, list, create',
    );
  return selectsOwn(asked, 'spec.nodeName')
    ? allowed
    : noOpinion('can only list/watch podcertificaterequests with spec.nodeName field selector');
}

function decideNode({ node, attributes: { verb, subresource, name } }: Asked): Decision {
  if (['update', 'patch'].includes(verb)) {
    return subresource === '' || subresource === 'status' ? allowed : noOpinion('');
  }
  if (subresource !== '') return noOpinion('');
  if (verb === 'create') return allowed;
  if (!['get', 'list', 'watch'].includes(verb)) return noOpinion('');
  if (name === node) return allowed;
  const what = name === '' ? 'all nodes' : `'${name}'`;
  return noOpinion(`node '${node}' cannot read ${what}, only its own Node object`);
}

function decidePod(asked: Asked): Decision {
  const { verb, subresource, name } = asked.attributes;
  if (subresource === 'status') return ['update', 'patch'].includes(verb) ? allowed : noOpinion('');
  if (subresource === 'eviction') return verb === 'create' ? allowed : noOpinion('');
  if (subresource !== '') return noOpinion('');
  if (verb === 'create' || verb === 'delete') return allowed;
  if (verb === 'get') return related(asked);
  if (verb !== 'list' && verb !== 'watch') return noOpinion('');
  if (selectsOwn(asked, 'spec.nodeName')) return allowed;
  return name === ''
    ? noOpinion('can only list/watch pods with spec.nodeName field selector')
    : related(asked);
}

function selectsOwn({ node, attributes: { fieldSelector = [] } }: Asked, name: string): boolean {
  return fieldSelector.some(({ field, equal, value }) => field === name && equal && value === node);
}
