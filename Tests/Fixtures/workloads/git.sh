# A repository's life: commits, branches, a merge, packing, clones over paths and file://, a push, work trees, bundles.
cd /tmp
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1
git config --global user.name N
git config --global user.email n@x
git config --global init.defaultBranch main
git init repo && cd repo
for i in $(seq 1 60); do
  mkdir -p d$((i % 7))
  seq 1 $((i * 9)) >d$((i % 7))/f$i
done
git add . && git commit -qm first && echo more >>d1/f1 && git commit -qam second
git log --oneline --stat | cat
git checkout -q -b side HEAD~1 && echo side >s && git add s && git commit -qm side
git checkout -q main && git merge -q --no-edit side
git gc 2>&1 | grep -v Delta
git fsck
git count-objects -v | grep -v size
git tag v1
git archive v1 | sha256sum
git grep -c 7 d1 | sort
git blame d1/f1 | tail -2
cd .. && git clone repo copy 2>&1 && cd copy
git log --graph --format=%h%s | cat
git status
git diff HEAD~1 --stat | cat
git clone --bare file:///tmp/repo /tmp/bare 2>&1 | grep -v remote
git -C /tmp/bare rev-parse HEAD
echo pushed >p && git add p && git commit -qm pushed && git push /tmp/bare HEAD:new 2>&1 | tail -1
git -C /tmp/bare log -1 --format=%s new
git worktree add ../wt 2>&1
ls ../wt
git repack -ad
git bundle create ../b.bundle main 2>&1 | tail -1
git ls-remote ../b.bundle
