
# Apptainer shows the run what it reads, too; a folder that this node lacks would be refused.
for folder in "${reads[@]}"; do
    [ ! -d "$folder" ] || python+=(--bind "$folder")
done
python+=("${image[@]}")
