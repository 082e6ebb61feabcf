/** Lets one topic, and nobody else by this, store messages in a queue. */
export function queuePolicy(queueArn: string, topicArn: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'msgloop',
        Effect: 'Allow',
        Principal: { Service: 'sns.amazonaws.com' },
        Action: 'sqs:SendMessage',
        Resource: queueArn,
        Condition: { ArnEquals: { 'aws:SourceArn': topicArn } },
      },
    ],
  })
}

/** The topic that our statement of a policy lets in. Other statements are other people's. */
export function topicOf(policy: string | undefined): string | undefined {
  try {
    const { Statement } = JSON.parse(policy ?? '')
    const ours = Array.isArray(Statement) ? Statement.find((each) => each?.Sid === 'msgloop') : undefined
    const arn: unknown = ours?.Condition?.ArnEquals?.['aws:SourceArn']
    return typeof arn === 'string' ? arn : undefined
  } catch {
    return undefined
  }
}
