-- Writes to the end of a journal, which keeps the last so many entries or a few more.
--
-- KEYS: the stream
-- ARGV: how many to keep, entries
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'v', ARGV[i])
end
return #ARGV - 1
