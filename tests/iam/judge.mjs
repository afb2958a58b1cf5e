// Reads one JSON request a line, writes one JSON answer a line: would IAM allow it?
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , library, account] = process.argv;
const { runSimulation } = await import(pathToFileURL(library));

// KMS asks the key's own policy, too. This is the default one: it leaves the answer to IAM.
const keyPolicy = {
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: "kms:*", Resource: "*" },
  ],
};

for await (const line of createInterface({ input: process.stdin })) {
  const { policies, action, resource, context } = JSON.parse(line);
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${account}:role/function`,
        action,
        resource: { resource, accountId: account },
        contextVariables: context,
      },
      identityPolicies: policies.map((policy, index) => ({ name: `policy-${index}`, policy })),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: action.startsWith("kms:") ? keyPolicy : undefined,
    },
    {},
  );
  const single = answer.resultType === "single" ? [answer.result] : (answer.results ?? []);
  process.stdout.write(
    JSON.stringify({
      error: answer.resultType === "error" ? JSON.stringify(answer.errors) : null,
      result: answer.overallResult ?? null,
      ignored: single.flatMap((one) => one.ignoredContextKeys ?? []),
    }) + "\n",
  );
}
