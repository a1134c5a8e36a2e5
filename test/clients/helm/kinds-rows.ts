/** What a user of a chart with a definition, an object of it and hooks types (`manifests/kinds`), at Helm 3, and at Helm 4 by both ways to apply. */
import type { Row } from '#test/clients/rows.ts';

const ready = '--wait --timeout 80s';

/** A chart of the suite's own, as definitions are the cluster's. */
const ownChart: Row = {
  sh: 'cp -r $FILES/kinds . && sed -i s/helm.example.com/$NS.example.com/ kinds/crds/*.yaml kinds/templates/*.yaml && helm lint kinds',
  says: /0 chart\(s\) failed/,
};

/** The life of a release. `how` is said at each command that applies something. */
function lifeOf(release: string, how: string): readonly Row[] {
  return [
    { sh: `helm install ${release} ./kinds ${how} ${ready}`, says: [/STATUS: deployed/, /REVISION: 1/] },
    {
      sh: `kubectl get gadget ${release} && kubectl get deploy ${release} && kubectl logs job/${release}-pre-install`,
      says: [/SIZE\n\S+\s+1/, /1\/1/, /pre-install of blue/],
    },
    {
      sh: `helm upgrade ${release} ./kinds ${how} --set size=2,colour=green ${ready} && kubectl logs job/${release}-post-upgrade; kubectl get gadget ${release} -o jsonpath={.spec}`,
      says: [/REVISION: 2/, /post-upgrade of green/, /"parts":\[\{"name":"frame","weight":2\}\],"size":2/],
    },
    {
      sh: `helm rollback ${release} 1 ${how} ${ready} && kubectl get gadget ${release} -o jsonpath={.spec}; kubectl logs job/${release}-pre-rollback`,
      says: [/Rollback was a success/, /"colour":"blue".*"size":1/, /pre-rollback of blue/],
    },
    // After it: Helm 3 patches custom objects from the manifest of the last release, a failed one too.
    {
      sh: `helm upgrade ${release} ./kinds ${how} --set size=11`,
      code: 1,
      says: /spec.size in body should be less than or equal to 10/,
    },
    { sh: `helm history ${release}`, says: [/^3\s.*deployed\s.*Rollback to 1/m, /^4\s.*failed/m] },
    {
      sh: `helm uninstall ${release} ${ready}; kubectl get gadgets,deploy -o name; kubectl logs job/${release}-post-delete; kubectl delete jobs --all -o name`,
      says: [/uninstalled/, /post-delete of blue/],
      silentOn: new RegExp(`(gadget|deployment)\\S*/${release}\\b`),
    },
  ];
}

/** What is the cluster's stays, and goes with its objects when somebody says so. */
const definitionStays: Row = {
  sh: 'kubectl get crd gadgets.$NS.example.com -o name && kubectl delete crd gadgets.$NS.example.com',
  says: /customresourcedefinition.apiextensions.k8s.io "gadgets\.[\w-]+\.example\.com" deleted/,
};

/** At Helm 3. */
export const kindsRows: readonly Row[] = [ownChart, ...lifeOf('kinds', ''), definitionStays];

/** Of fields that two want, and of a release that moves from one way to apply to the other. */
const owners: readonly Row[] = [
  {
    sh: `helm install shared ./kinds ${ready} && kubectl get gadget shared --show-managed-fields -o jsonpath='{range .metadata.managedFields[*]}{.manager} {.operation}{end}'`,
    says: [/STATUS: deployed/, /helm Apply/],
  },
  {
    sh: 'kubectl patch deploy shared --type=merge -p \'{"spec":{"replicas":3}}\' && helm upgrade shared ./kinds --set size=2',
    code: 1,
    says: /Apply failed with 1 conflict: conflict with "kubectl-patch" using apps\/v1: \.spec\.replicas/,
  },
  {
    sh: `helm upgrade shared ./kinds --set size=2 --force-conflicts ${ready} && kubectl get deploy shared -o jsonpath={.spec.replicas}`,
    says: [/REVISION: 3/, /2$/],
  },
  { sh: `helm uninstall shared ${ready}`, says: /uninstalled/ },
  {
    sh: `helm install moved ./kinds --server-side=false ${ready} && helm upgrade moved ./kinds --server-side=true --set colour=white ${ready} && kubectl get cm moved -o jsonpath={.data}`,
    says: [/REVISION: 2/, /"colour":"white"/],
  },
  { sh: `helm uninstall moved ${ready}`, says: /uninstalled/ },
];

/** At Helm 4: by server-side apply unless it is told otherwise; its hooks are always applied so. */
export const helm4Rows: readonly Row[] = [
  { sh: 'helm version --short', says: /^v4\./ },
  ownChart,
  ...lifeOf('server', ''),
  ...lifeOf('client', '--server-side=false'),
  ...owners,
  definitionStays,
];
